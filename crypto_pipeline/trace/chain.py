"""From a row of gold or of predictions back to the venue's own bytes, link by link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from crypto_pipeline.bronze import schema as bronze
from crypto_pipeline.errors import NotInLakeError
from crypto_pipeline.gold.schema import CANDLES_1M, VOLATILITY
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.lake.table import Table
from crypto_pipeline.predictions.schema import FORECASTS
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.silver import schema as silver

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MINUTE = timedelta(minutes=1)
DAY = timedelta(hours=24)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BRONZE_OF = {silver.TICKS.key: bronze.TICKS, silver.CANDLES.key: bronze.CANDLES}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One row of one table, and the commit that wrote it if its log still has it."""

    table: Table
    row: Row
    commit: CommitRecord | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Links from the result back to raw; `polls` are the poll records that speak of the minute.

    `minutes` are how many candles of 24 hours a forecast rests on, with the batches they are of.
    """

    links: tuple[Link, ...]
    polls: tuple[Link, ...]
    minutes: tuple[int, int, int] | None = None


def trace(
    lake: Lake,
    *,
    symbol: str,
    minute_at: datetime,
    sources: Sequence[str],
    source: str | None = None,
    horizon: int | None = None,
) -> Chain:
    """Follow the candle of a minute, or with `horizon` the served forecast that starts there.

    Of several sources the first of `sources` that has the minute is taken, those that are not
    declared last. Raises NotInLakeError when the lake has no such row.
    """
    candles = _find(lake, CANDLES_1M, {"symbol": symbol, "minute_at": minute_at})
    row = _preferred(candles, sources, source, symbol, minute_at)
    head: list[Link] = []
    minutes = None
    if horizon is not None:
        head = _forecast(lake, row, horizon)
        minutes = _inputs(lake, row)
    fact_table = silver.CANDLES if row["origin"] == "exchange" else silver.TICKS
    fact = _one(lake, fact_table, {"id": row["fact_id"]}, near=minute_at)
    place = {name: fact.row[name] for name in RECORDS.keys}
    typed = _one(lake, BRONZE_OF[fact_table.key], place, near=minute_at)
    return Chain(
        links=(*head, _link(lake, CANDLES_1M, row), fact, typed, _record(lake, typed.row)),
        polls=_polls(lake, typed.row),
        minutes=minutes,
    )


def _preferred(
    rows: Sequence[Row], sources: Sequence[str], source: str | None, symbol: str, at: datetime
) -> Row:
    """The row of the wanted source, else of the first declared one; NotInLakeError without one."""
    found = [row for row in rows if source is None or row["source"] == source]
    if not found:
        others = ", ".join(sorted(row["source"] for row in rows))
        raise NotInLakeError(
            f"gold/candles_1m has no minute {at:%Y-%m-%d %H:%M} UTC of {symbol}"
            + (f" from {source}" if source else "")
            + (f"; it has it from {others}. " if others else ". ")
            + "Name another minute, symbol (BASE-QUOTE) or source."
        )
    place = {name: number for number, name in enumerate(sources)}
    return min(found, key=lambda row: (place.get(row["source"], len(place)), row["source"]))


def _forecast(lake: Lake, candle: Row, horizon: int) -> list[Link]:
    """The served forecast of the minute, and the measures that it was made from."""
    key = {"source": candle["source"], "symbol": candle["symbol"]}
    wanted = {
        **key,
        "origin_at": candle["minute_at"],
        "horizon_minutes": horizon,
        "is_served": True,
    }
    forecast = _one(lake, FORECASTS, wanted)
    measured = _one(lake, VOLATILITY, {**key, "minute_at": candle["minute_at"]})
    return [forecast, measured]


def _inputs(lake: Lake, candle: Row) -> tuple[int, int, int]:
    """Candles of the 24 hours before, and the first and last batch of gold/candles_1m."""
    at = candle["minute_at"]
    rows = lake.read(CANDLES_1M, since=at - DAY, until=at).where(
        (F.col("source") == candle["source"]) & (F.col("symbol") == candle["symbol"])
    )
    found = rows.agg(F.count("*"), F.min("batch"), F.max("batch")).collect()[0]
    return int(found[0]), int(found[1]), int(found[2])


def _record(lake: Lake, typed: Row) -> Link:
    place = {name: typed[name] for name in RECORDS.keys}
    return _one(lake, RECORDS, place, near=typed["broker_at"])


def _polls(lake: Lake, typed: Row) -> tuple[Link, ...]:
    """The poll of the source during which the answer came, with its own bytes."""
    seen = F.lit(typed["observed_at"])
    rows = (
        _fetches(lake, typed["open_at"])
        if typed.get("is_backfill")
        else _minute_polls(lake, typed["observed_at"])
    )
    rows = (
        rows.where(F.col("source") == typed["source"])
        .where((F.col("started_at") <= seen) & (F.col("ended_at") >= seen))
        .orderBy("poll_at", "broker_at")
        .limit(1)
    )
    polls = [_link(lake, bronze.POLLS, row) for row in _rows(rows)]
    return tuple(link for poll in polls for link in (poll, _record(lake, poll.row)))


def _minute_polls(lake: Lake, observed_at: datetime) -> DataFrame:
    rows = lake.read(bronze.POLLS, since=observed_at - DAY, until=observed_at)
    return rows.where(F.col("until_at").isNull())


def _fetches(lake: Lake, open_at: datetime) -> DataFrame:
    """Fetches of the past that a minute was part of: their `poll_at` is where they begin."""
    rows = lake.read(bronze.POLLS, until=open_at)
    return rows.where(F.col("until_at") > F.lit(open_at))


def _one(lake: Lake, table: Table, wanted: Row, *, near: datetime | None = None) -> Link:
    rows = _find(lake, table, wanted, near=near)
    if not rows:
        said = ", ".join(f"{name} {value}" for name, value in wanted.items())
        raise NotInLakeError(
            f"{table.key} has no row with {said}, which the row after it names. Run "
            "`crypto-pipeline audit`: it says what else is missing."
        )
    return _link(lake, table, rows[0])


def _find(lake: Lake, table: Table, wanted: Row, *, near: datetime | None = None) -> list[Row]:
    """Rows whose columns have these values; a time or its neighbourhood prunes the files."""
    at = wanted.get(table.fact_column, near)
    reach = MINUTE if near is not None else timedelta(0)
    rows = lake.read(
        table,
        since=None if at is None else at - reach,
        until=None if at is None else at + reach,
    )
    for name, value in wanted.items():
        rows = rows.where(F.col(name) == F.lit(value))
    return _rows(rows)


def _rows(rows: DataFrame) -> list[Row]:
    """Collected with times as aware UTC values, whatever the zone of this machine."""
    times = [n for n, kind in rows.dtypes if kind == "timestamp"]
    whole = rows.select("*", *(F.unix_micros(n).alias(f"{n}__") for n in times))
    found: list[Row] = []
    for row in whole.collect():
        values = row.asDict()
        for name in times:
            micros = values.pop(f"{name}__")
            values[name] = None if micros is None else EPOCH + timedelta(microseconds=micros)
        found.append(values)
    return found


def _link(lake: Lake, table: Table, row: Row) -> Link:
    records = [r for _, r in log.commits(lake.path(table)) if r.batch == row["batch"]]
    return Link(table=table, row=row, commit=records[0] if records else None)
