"""gold/market_summary as records of `market.summary`."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from crypto_pipeline.contract.message import SCHEMA_VERSION, fact_id, format_time
from crypto_pipeline.contract.report_schema import GAPS_TOLD
from crypto_pipeline.gold.schema import MARKET_SUMMARY, VOLATILITY
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.silver.gap_state import Interval, standing
from crypto_pipeline.silver.schema import GAPS

if TYPE_CHECKING:
    from pyspark.sql import Column

# What a chart's band shows; more symbols than this would make the topic heavy.
RECENT = timedelta(minutes=120)
RECENT_SYMBOLS = 50
GAPS_TOLD_FOR = timedelta(hours=24)
SPAN = ("from_at", "to_at")
UTC_TEXT = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"

MEASURES = (
    "spread_bps", "return_1m", "return_5m", "return_1h", "return_24h", "volume_24h",
    "volatility_5m", "volatility_1h", "volatility_24h", "volatility_rank",
)  # fmt: skip
# Of the newest minute only: the record says them once.
LATEST = ("z_score", "ewma", "atr_14", "bollinger_width")


def utc_text(name: str) -> Column:
    return F.date_format(name, UTC_TEXT)


def summary_records(lake: Lake) -> list[dict[str, Any]]:
    """All rows of the summary as it stands, the most watched with their recent minutes."""
    rows = (
        lake.read(MARKET_SUMMARY)
        .select(
            "source",
            "symbol",
            utc_text("minute_at").alias("minute_at"),
            *(F.col(name).cast("string").alias(name) for name in ("last", "bid", "ask")),
            *MEASURES,
            "batch",
            F.col("minute_at").cast("double").alias("seconds"),
        )
        .orderBy("volatility_rank")
    )
    found = [row.asDict() for row in rows.collect()]
    if not found:
        return []
    newest = datetime.fromtimestamp(max(row.pop("seconds") for row in found), tz=UTC)
    watched = {(row["source"], row["symbol"]) for row in _watched(found)}
    recent = _recent(lake, since=newest - RECENT, watched=watched)
    gaps = _gaps(lake, since=newest - GAPS_TOLD_FOR, watched=watched)
    return [_record(row, lake, recent, gaps) for row in found]


def _watched(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first by rank; those without a rank come last, whatever order nulls were given."""
    by_rank = sorted(found, key=lambda row: (row["volatility_rank"] is None, row["symbol"]))
    by_rank.sort(key=lambda row: row["volatility_rank"] or math.inf)
    return by_rank[:RECENT_SYMBOLS]


def _recent(
    lake: Lake, *, since: datetime, watched: set[tuple[str, str]]
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    minutes = (
        lake.read(VOLATILITY, since=since)
        .where(F.col("symbol").isin(*sorted({symbol for _, symbol in watched})))
        .select(
            "source",
            "symbol",
            utc_text("minute_at").alias("minute_at"),
            F.col("close").cast("double").alias("close"),
            "origin",
            F.col("bollinger_middle").alias("middle"),
            F.col("bollinger_upper").alias("upper"),
            F.col("bollinger_lower").alias("lower"),
            "volatility_1h",
            *LATEST,
        )
    )
    recent: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in minutes.orderBy("minute_at").collect():
        point = row.asDict()
        key = (point.pop("source"), point.pop("symbol"))
        if key in watched:
            recent.setdefault(key, []).append(point)
    return recent


def _gaps(
    lake: Lake, *, since: datetime, watched: set[tuple[str, str]]
) -> dict[tuple[str, str], list[Interval]]:
    if log.open_table(lake.path(GAPS)) is None:
        return {}
    rows = (
        lake.read(GAPS, since=since)
        .where(F.col("symbol").isin(*sorted({symbol for _, symbol in watched})))
        .select(
            "source",
            "symbol",
            *(F.col(name).cast("double").alias(name) for name in SPAN),
            *("cause", "state", "batch"),
        )
        .collect()
    )
    return standing({**row.asDict(), **{n: _aware(row[n]) for n in SPAN}} for row in rows)


def _aware(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)


def _record(
    row: dict[str, Any],
    lake: Lake,
    recent: dict[tuple[str, str], list[dict[str, Any]]],
    gaps: dict[tuple[str, str], list[Interval]],
) -> dict[str, Any]:
    for name in ("last", "bid", "ask"):
        row[name] = plain_text(row[name])
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


def plain_text(number: str | None) -> str | None:
    """A DECIMAL(38,18) as text without the zeros that only its scale put there.

    >>> plain_text("0.000012340000000000")
    '0.00001234'
    """
    if number is None or "." not in number:
        return number
    return number.rstrip("0").rstrip(".")
