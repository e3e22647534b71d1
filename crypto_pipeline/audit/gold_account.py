"""Gold against silver: candles exactly, measures to 1e-9, the summary against both."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType

from crypto_pipeline.audit import expected
from crypto_pipeline.audit.difference import Account, Difference, Line, compare, minute, prints
from crypto_pipeline.audit.pins import Pins, midnight
from crypto_pipeline.gold.schema import CANDLES_1M, MARKET_SUMMARY, VOLATILITY
from crypto_pipeline.gold.summary import INSTRUMENT, newest
from crypto_pipeline.holding.sources import held_sources
from crypto_pipeline.silver import schema as silver
from crypto_pipeline.stages import CANDLES, SUMMARY
from crypto_pipeline.stages import VOLATILITY as MEASURED

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

RELATIVE = 1e-9
# Below this a difference of returns or widths is the rounding of sums near zero.
ABSOLUTE = 1e-12
REACH = timedelta(hours=24, minutes=1)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)

MEASURES = tuple(f.name for f in VOLATILITY.schema.fields if isinstance(f.dataType, DoubleType))
EXACT = ("close", "origin", "returns_24h", "date")


def account(pins: Pins) -> Account:
    """The minutes of which a fact reached the broker in the range; nothing where there is none.

    Minutes of dates that silver or gold no longer holds are left out.
    """
    upto, held = pins.taken(CANDLES), held_sources(pins.last[CANDLES.name])
    facts = expected.candidates(
        unheld(pins.rows(silver.TICKS, upto=upto), held),
        unheld(pins.rows(silver.CANDLES, upto=upto), held),
    )
    candles = pins.as_of(CANDLES_1M, CANDLES, batch=pins.batch(CANDLES))
    ends = _from_day(_minutes(pins), pins.whole_from("silver", "gold"))
    if candles is None or ends is None:
        return Account(lines=(), differences=())
    between = F.col("minute_at").between(*(F.timestamp_micros(F.lit(end)) for end in ends))
    wanted = expected.candles_1m(facts.where(between))
    counts, differences = compare(
        prints(wanted, CANDLES_1M, minute()), prints(candles.where(between), CANDLES_1M, minute())
    )
    rows_in = facts.where(between).agg(F.count("*").alias("n")).collect()[0]["n"]
    taken = counts.get(CANDLES_1M.key, 0)
    missing = sum(d.rows for d in differences if d.what == "missing")
    extra = sum(d.rows for d in differences if d.what in ("doubled", "unexpected"))
    line = Line(
        stage=CANDLES.name,
        rows_in=rows_in,
        outcomes={"minutes": taken, "older or covered": rows_in - (taken + missing - extra)},
    )
    lines, found = [line], list(differences)
    measured = _volatility(pins, ends)
    lines += measured.lines
    found += measured.differences
    return Account(lines=tuple(lines), differences=(*found, *_summary(pins)))


def unheld(rows: DataFrame, held: Mapping[str, int]) -> DataFrame:
    """Rows of silver without those that were held back from gold."""
    for source, after in held.items():
        rows = rows.where((F.col("source") != source) | (F.col("batch") <= after))
    return rows


def _minutes(pins: Pins) -> tuple[int, int] | None:
    """First and last minute of gold that the range's facts speak of, in microseconds."""
    upto = pins.taken(CANDLES)
    facts = expected.candidates(
        pins.within(pins.rows(silver.TICKS, upto=upto)),
        pins.within(pins.rows(silver.CANDLES, upto=upto)),
    )
    micros = F.unix_micros("minute_at")
    row = facts.agg(F.min(micros).alias("first"), F.max(micros).alias("last")).collect()[0]
    return None if row["first"] is None else (row["first"], row["last"])


def _from_day(ends: tuple[int, int] | None, day: date | None) -> tuple[int, int] | None:
    """The minutes without those before a UTC date; None when none is left."""
    if ends is None or day is None:
        return ends
    first = max(ends[0], int(midnight(day).timestamp()) * 1_000_000)
    return (first, ends[1]) if first <= ends[1] else None


def measured_from(pins: Pins) -> date | None:
    """The first date whose minutes have all candles of the 24 hours before them."""
    first = pins.whole_from("gold")
    return None if first is None else first + DAY


def _volatility(pins: Pins, minutes: tuple[int, int]) -> Account:
    """Measures anew from the candles as the stage has read them."""
    candles = pins.as_of(CANDLES_1M, CANDLES, batch=pins.taken(MEASURED))
    stored = pins.as_of(VOLATILITY, MEASURED, batch=pins.batch(MEASURED))
    ends = _from_day(minutes, measured_from(pins))
    if candles is None or stored is None or ends is None:
        return Account(lines=(), differences=())
    first, last = ends
    at = F.unix_micros("minute_at")
    reach = REACH // MICROSECOND
    targets = candles.where(at.between(first, last)).dropDuplicates(list(CANDLES_1M.keys))
    past = candles.where(at.between(first - reach, last)).dropDuplicates(list(CANDLES_1M.keys))
    have = stored.where(at.between(first, last))
    counts, differences = compare(_keyed(targets), _keyed(have))
    line = Line(
        stage=MEASURED.name,
        rows_in=targets.agg(F.count("*").alias("n")).collect()[0]["n"],
        outcomes={"measured": counts.get(VOLATILITY.key, 0)},
    )
    altered = _altered(expected.volatility(targets, past), have)
    return Account(lines=(line,), differences=(*differences, *altered))


def _keyed(rows: DataFrame) -> DataFrame:
    return rows.select(
        minute().alias("label"), F.lit(VOLATILITY.key).alias("slot"), F.lit("").alias("print")
    )


def _altered(wanted: DataFrame, have: DataFrame) -> list[Difference]:
    """Rows whose values are not those of the recomputation, each with its first such column."""
    key = list(VOLATILITY.keys)
    names = [f"{name}_wanted" for name in (*EXACT, *MEASURES)]
    renamed = wanted.select(
        *key, *(F.col(n).alias(w) for n, w in zip((*EXACT, *MEASURES), names, strict=True))
    )
    column = F.coalesce(
        *(F.when(~F.col(n).eqNullSafe(F.col(f"{n}_wanted")), F.lit(n)) for n in EXACT),
        *(F.when(~is_close(F.col(n), F.col(f"{n}_wanted")), F.lit(n)) for n in MEASURES),
    )
    found = (
        have.join(renamed, on=key, how="inner")
        .withColumn("column", column)
        .where(F.col("column").isNotNull())
        .groupBy("column")
        .agg(F.count("*").alias("n"), F.min(minute()).alias("first"))
        .orderBy("column")
    )
    return [
        Difference(
            table=VOLATILITY.key,
            what=f"altered ({row['column']})",
            rows=row["n"],
            example=row["first"],
        )
        for row in found.collect()
    ]


def is_close(left: Column, right: Column) -> Column:
    """Equal to 1e-9 of the greater one, or both without a value."""
    limit = F.greatest(F.lit(ABSOLUTE), F.lit(RELATIVE) * F.greatest(F.abs(left), F.abs(right)))
    return F.coalesce(F.abs(left - right) <= limit, left.isNull() & right.isNull(), F.lit(False))


def _is_before(column: str, day: date | None) -> Column:
    return F.lit(False) if day is None else F.coalesce(F.col(column) < F.lit(day), F.lit(False))


def _summary(pins: Pins) -> list[Difference]:
    """The market now: the newest measured minute of each instrument, and a tick that silver has.

    A symbol that left the watch-list keeps its row when retention has removed what it shows.
    """
    stored = pins.as_of(MARKET_SUMMARY, SUMMARY, batch=pins.batch(SUMMARY))
    measured = pins.as_of(VOLATILITY, MEASURED, batch=pins.taken(SUMMARY))
    if stored is None or measured is None:
        return []
    shown = [n for n in MEASURES if n in MARKET_SUMMARY.columns]
    latest = newest(measured, "minute_at").select(
        *INSTRUMENT, "minute_at", "close", *(F.col(n).alias(f"{n}_wanted") for n in shown)
    )
    ticks = pins.lake.read(silver.TICKS).select(
        *INSTRUMENT, "poll_at", "price", F.lit(True).alias("is_there")
    )
    copies = stored.groupBy(*INSTRUMENT).agg(F.count("*").alias("copies"))
    joined = (
        stored.join(copies, on=list(INSTRUMENT))
        .withColumnRenamed("minute_at", "shown_at")
        .join(latest, on=list(INSTRUMENT), how="full_outer")
        .join(ticks, on=[*INSTRUMENT, "poll_at"], how="left")
    )
    same = F.lit(True)
    for name in shown:
        same = same & is_close(F.col(name), F.col(f"{name}_wanted"))
    is_other_tick = (F.col("last") != F.coalesce("price", "close")) | (
        F.col("poll_at").isNotNull() & F.col("is_there").isNull()
    )
    is_other_tick = is_other_tick & ~_is_before("poll_at", pins.whole_from("silver"))
    is_removed = _is_before("shown_at", pins.whole_from("gold"))
    what = (
        F.when(F.col("copies").isNull(), "missing")
        .when(F.col("minute_at").isNull(), F.when(~is_removed, "unexpected"))
        .when(F.col("copies") > 1, "doubled")
        .when((F.col("shown_at") != F.col("minute_at")) | is_other_tick | ~same, "altered")
    )
    label = F.min(F.concat_ws(" ", *INSTRUMENT)).alias("first")
    found = joined.withColumn("what", what).where(F.col("what").isNotNull())
    return [
        Difference(table=MARKET_SUMMARY.key, what=row["what"], rows=row["n"], example=row["first"])
        for row in found.groupBy("what").agg(F.count("*").alias("n"), label).collect()
    ]
