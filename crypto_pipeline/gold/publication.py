"""gold/market_summary as records of `market.summary`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from crypto_pipeline.contract.message import SCHEMA_VERSION, fact_id
from crypto_pipeline.gold.schema import MARKET_SUMMARY, VOLATILITY
from crypto_pipeline.lake.location import Lake

if TYPE_CHECKING:
    from pyspark.sql import Column

# What a chart's band shows; more symbols than this would make the topic heavy.
RECENT = timedelta(minutes=120)
RECENT_SYMBOLS = 50
UTC_TEXT = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"

MEASURES = (
    "spread_bps", "return_1m", "return_5m", "return_1h", "return_24h", "volume_24h",
    "volatility_5m", "volatility_1h", "volatility_24h", "volatility_rank",
)  # fmt: skip


def utc_text(name: str) -> Column:
    return F.date_format(name, UTC_TEXT)


def summary_records(lake: Lake) -> list[dict[str, Any]]:
    """All rows of the summary as it stands, the most watched with their recent minutes."""
    rows = lake.read(MARKET_SUMMARY).select(
        "source",
        "symbol",
        utc_text("minute_at").alias("minute_at"),
        *(F.col(name).cast("string").alias(name) for name in ("last", "bid", "ask")),
        *MEASURES,
        "batch",
        F.col("minute_at").cast("double").alias("seconds"),
    )
    found = rows.orderBy("volatility_rank").collect()
    if not found:
        return []
    recent = _recent(lake, newest=max(row["seconds"] for row in found))
    return [_record(row.asDict(), lake, recent) for row in found]


def _recent(lake: Lake, *, newest: float) -> dict[tuple[str, str], list[dict[str, Any]]]:
    since = datetime.fromtimestamp(newest, tz=UTC) - RECENT
    minutes = lake.read(VOLATILITY, since=since).select(
        "source",
        "symbol",
        utc_text("minute_at").alias("minute_at"),
        F.col("bollinger_middle").alias("middle"),
        F.col("bollinger_upper").alias("upper"),
        F.col("bollinger_lower").alias("lower"),
        F.col("volatility_1h").alias("volatility_1h"),
    )
    recent: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in minutes.orderBy("minute_at").collect():
        point = row.asDict()
        recent.setdefault((point.pop("source"), point.pop("symbol")), []).append(point)
    return recent if len(recent) <= RECENT_SYMBOLS else {}


def _record(row: dict[str, Any], lake: Lake, recent: dict[tuple[str, str], Any]) -> dict[str, Any]:
    row.pop("seconds")
    for name in ("last", "bid", "ask"):
        row[name] = plain_text(row[name])
    source, symbol = row["source"], row["symbol"]
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "summary",
        "id": fact_id("summary", source, symbol, row["minute_at"], str(row["batch"])),
        "market": lake.market,
        **row,
        "recent": recent.get((source, symbol), []),
    }


def plain_text(number: str | None) -> str | None:
    """A DECIMAL(38,18) as text without the zeros that only its scale put there.

    >>> plain_text("0.000012340000000000")
    '0.00001234'
    """
    if number is None or "." not in number:
        return number
    return number.rstrip("0").rstrip(".")
