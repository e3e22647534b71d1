"""gold/market_summary as records of `market.summary`."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from crypto_pipeline.contract.message import SCHEMA_VERSION, fact_id, format_time
from crypto_pipeline.contract.report_schema import GAPS_TOLD
from crypto_pipeline.gold.schema import MARKET_SUMMARY, VOLATILITY
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.told import rows_told
from crypto_pipeline.silver.gap_state import Interval, standing
from crypto_pipeline.silver.schema import GAPS

# What a chart's band shows; more symbols than this would make the topic heavy.
RECENT = timedelta(minutes=120)
RECENT_SYMBOLS = 50
GAPS_TOLD_FOR = timedelta(hours=24)
OF_A_GAP = ("source", "symbol", "from_at", "to_at", "cause", "state", "batch")

PRICES = ("last", "bid", "ask")
MEASURES = (
    "spread_bps", "return_1m", "return_5m", "return_1h", "return_24h", "volume_24h",
    "volatility_5m", "volatility_1h", "volatility_24h", "volatility_rank",
)  # fmt: skip
# Of the newest minute only: the record says them once.
LATEST = ("z_score", "ewma", "atr_14", "bollinger_width")
# Columns of a recent minute, and how a record calls them.
POINT = {
    **{name: name for name in ("source", "symbol", "minute_at", "close", "origin")},
    "bollinger_middle": "middle",
    "bollinger_upper": "upper",
    "bollinger_lower": "lower",
    **{name: name for name in ("volatility_1h", *LATEST)},
}


def summary_records(lake: Lake) -> list[dict[str, Any]]:
    """All rows of the summary as it stands, the most watched with their recent minutes."""
    columns = ("source", "symbol", "minute_at", *PRICES, *MEASURES, "batch")
    found = rows_told(lake, MARKET_SUMMARY, columns)
    if not found:
        return []
    found.sort(key=_rank)
    newest = max(row["minute_at"] for row in found)
    watched = {(row["source"], row["symbol"]) for row in found[:RECENT_SYMBOLS]}
    recent = _recent(lake, since=newest - RECENT, watched=watched)
    gaps = _gaps(lake, since=newest - GAPS_TOLD_FOR, watched=watched)
    return [_record(row, lake, recent, gaps) for row in found]


def _rank(row: dict[str, Any]) -> tuple[float, str]:
    """The first by volatility first; those without a rank come last."""
    return row["volatility_rank"] or math.inf, row["symbol"]


def _recent(
    lake: Lake, *, since: datetime, watched: set[tuple[str, str]]
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    rows = rows_told(
        lake, VOLATILITY, tuple(POINT), since=since, symbols={symbol for _, symbol in watched}
    )
    recent: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["minute_at"]):
        point = {said: row[name] for name, said in POINT.items()}
        key = (point.pop("source"), point.pop("symbol"))
        if key in watched:
            point |= {"minute_at": format_time(row["minute_at"]), "close": float(row["close"])}
            recent.setdefault(key, []).append(point)
    return recent


def _gaps(
    lake: Lake, *, since: datetime, watched: set[tuple[str, str]]
) -> dict[tuple[str, str], list[Interval]]:
    if log.open_table(lake.path(GAPS)) is None:
        return {}
    symbols = {symbol for _, symbol in watched}
    return standing(rows_told(lake, GAPS, OF_A_GAP, since=since, symbols=symbols))


def _record(
    row: dict[str, Any],
    lake: Lake,
    recent: dict[tuple[str, str], list[dict[str, Any]]],
    gaps: dict[tuple[str, str], list[Interval]],
) -> dict[str, Any]:
    row |= {name: decimal_text(row[name]) for name in PRICES}
    row["minute_at"] = format_time(row["minute_at"])
    source, symbol = row["source"], row["symbol"]
    minutes = recent.get((source, symbol), [])
    newest = minutes[-1] if minutes and minutes[-1]["minute_at"] == row["minute_at"] else {}
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "summary",
        "id": fact_id("summary", source, symbol, row["minute_at"], str(row["batch"])),
        "market": lake.market,
        **row,
        **{name: newest[name] for name in (*LATEST, "origin") if name in newest},
        "gaps": [_gap(gap) for gap in gaps.get((source, symbol), [])[:GAPS_TOLD]],
        "recent": [{n: v for n, v in point.items() if n not in LATEST} for point in minutes],
    }


def _gap(gap: Interval) -> dict[str, Any]:
    return {
        **gap,
        "from_at": format_time(gap["from_at"]),
        "to_at": format_time(gap["to_at"]),
        "minutes": int((gap["to_at"] - gap["from_at"]) / timedelta(minutes=1)),
    }


def decimal_text(number: Decimal | None) -> str | None:
    """A DECIMAL(38,18) as text without exponent and the zeros that only its scale put there.

    >>> decimal_text(Decimal("0.000012340000000000"))
    '0.00001234'
    """
    if number is None:
        return None
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
