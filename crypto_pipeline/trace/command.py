"""`crypto-pipeline trace`: the chain as indented lines, the bytes at its end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from rich.console import Console

from crypto_pipeline.gold.publication import decimal_text
from crypto_pipeline.pipeline import reading_lake
from crypto_pipeline.predictions.schema import FORECASTS
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.settings import Settings
from crypto_pipeline.trace.chain import Chain, Link, trace

SHOWN = {
    "predictions/forecasts": ("source", "model", "model_version", "volatility", "target_at"),
    "gold/volatility": ("source", "close", "volatility_1h", "returns_24h"),
    "gold/candles_1m": ("source", "open", "high", "low", "close", "origin", "revisions"),
    "silver/ticks": ("id", "price", "poll_at", "observed_at", "is_late"),
    "silver/candles": ("id", "close", "open_at", "observed_at", "is_late"),
    "bronze/ticks": ("endpoint", "price", "record"),
    "bronze/candles": ("endpoint", "close", "record"),
    "bronze/polls": ("poll_at", "started_at", "ended_at", "outcome", "served", "endpoint"),
}


def trace_command(
    settings: Settings,
    console: Console,
    *,
    symbol: str,
    minute_at: datetime,
    source: str | None,
    horizon: int | None,
) -> int:
    """Print the chain; NotInLakeError says what the lake does not have."""
    sources = [settings.source_of(venue) for venue in settings.venues]
    with reading_lake(settings, role="tracer") as lake:
        chain = trace(
            lake,
            symbol=symbol,
            minute_at=minute_at,
            sources=sources,
            source=source,
            horizon=horizon,
        )
    for line in lines(chain, symbol=symbol, minute_at=minute_at):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0


def lines(chain: Chain, *, symbol: str, minute_at: datetime) -> Iterator[str]:
    """The chain as text: for each link its table, commit, values; bytes as they came."""
    yield f"{symbol} {minute_at:%Y-%m-%dT%H:%MZ}"
    for link in chain.links:
        yield from _link(link)
        if link.table is FORECASTS and chain.minutes:
            count, first, last = chain.minutes
            yield f"   rests on {count:,} candles of 24 h, batches {first} to {last} of gold"
    if chain.polls:
        yield "The poll that brought it:"
    for link in chain.polls:
        yield from _link(link)


def _link(link: Link) -> Iterator[str]:
    row, commit = link.row, link.commit
    where = f"batch {row['batch']}"
    if commit is None:
        where += ", whose commit the log has no more"
    else:
        where += f", table version {commit.version}, {_range(link)}"
    yield f"└─ {link.table.key}  {where}"
    shown = [f"{n} {_text(row[n])}" for n in SHOWN.get(link.table.key, ()) if row[n] is not None]
    if shown:
        yield f"   {'  '.join(shown)}"
    if link.table is RECORDS:
        yield (
            f"   {row['topic']} epoch {row['epoch']} partition {row['partition']} "
            f"offset {row['offset']}, at the broker {_text(row['broker_at'])}"
        )
        yield f"   {len(row['value']):,} bytes: {bytes(row['value']).decode(errors='replace')}"


def _range(link: Link) -> str:
    """What the commit says it read."""
    ranges = link.commit.ranges if link.commit else {}
    if "kafka" in ranges:
        parts = ranges["kafka"]["topics"].get(link.row.get("topic"), {}).get("partitions", {})
        first, end = parts.get(str(link.row.get("partition")), (0, 0))
        return f"offsets {first:,} to {end - 1:,} of its partition"
    batches = ranges.get("batches", {})
    after, to = batches.get("after", 0), batches.get("to", 0)
    span = f"batch {to}" if to <= after + 1 else f"batches {after + 1} to {to}"
    return f"read {span} of {batches.get('table', 'the stage before')}"


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".") + "Z"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Decimal):
        return decimal_text(value) or ""
    return str(value)
