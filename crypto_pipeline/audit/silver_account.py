"""Silver against bronze: each fact once, and what was set aside for the reason that it says."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crypto_pipeline.audit import expected
from crypto_pipeline.audit.batches import silver_batches, with_taken_in
from crypto_pipeline.audit.difference import (
    Account,
    Difference,
    Line,
    compare,
    coordinates,
    prints,
)
from crypto_pipeline.audit.pins import Pins, since
from crypto_pipeline.bronze import schema as bronze
from crypto_pipeline.lake.table import Table
from crypto_pipeline.silver import schema as silver
from crypto_pipeline.stages import SILVER

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

KINDS = ((bronze.TICKS, silver.TICKS), (bronze.CANDLES, silver.CANDLES))
ASIDE = ("duplicate", "conflict", "too_late")


def account(pins: Pins) -> Account:
    """Judge the rows of bronze anew, in closed form, and compare with where they stand.

    Facts of dates that one of the two no longer holds are left out.
    """
    pairs = silver_batches(pins)
    history, rows = {}, {}
    for read, write in KINDS:
        everything = pins.rows(read, upto=pins.taken(SILVER)).dropDuplicates(list(read.keys))
        history[write.key] = with_taken_in(everything, pairs)
        rows[write.key] = _with_copies(pins, history[write.key], write)
    wanted = expected.silver(rows[silver.TICKS.key], rows[silver.CANDLES.key], history)
    upto = pins.batch(SILVER)
    tables = expected.SILVER_TABLES
    counts, differences = compare(
        _union([_prints(_of_range(pins, wanted[t.key]), t) for t in tables]),
        _union([_prints(_of_range(pins, pins.rows(t, upto=upto)), t) for t in tables]),
    )
    return Account(
        lines=(_line(pins, counts),), differences=(*differences, *_twice(pins, upto=upto))
    )


def _with_copies(pins: Pins, history: DataFrame, table: Table) -> DataFrame:
    """The rows of the range and all that may share an id with them: equal ids, equal times."""
    if pins.start is None and pins.end is None:
        return history
    fact = table.fact_column
    times = pins.within(history).select(F.col(fact).alias("wanted_at")).distinct()
    return history.join(F.broadcast(times), on=F.col(fact) == F.col("wanted_at"), how="left_semi")


def _of_range(pins: Pins, rows: DataFrame) -> DataFrame:
    return since(pins.within(rows), pins.whole_from("bronze", "silver"))


def _twice(pins: Pins, *, upto: int) -> list[Difference]:
    """Ids that stand in a table more than once, whatever their coordinates."""
    parts = [
        pins.within(pins.rows(table, upto=upto))
        .groupBy("id")
        .agg(F.count("*").alias("n"), F.min(coordinates()).alias("first"))
        .where(F.col("n") > 1)
        .select(F.lit(table.key).alias("table"), "first")
        for _, table in KINDS
    ]
    found = _union(parts).groupBy("table").agg(F.count("*").alias("n"), F.min("first").alias("at"))
    return [
        Difference(table=row["table"], what="id twice", rows=row["n"], example=row["at"])
        for row in found.collect()
    ]


def _line(pins: Pins, counts: dict[str, int]) -> Line:
    upto = pins.taken(SILVER)
    reads = (*(read for read, _ in KINDS), bronze.POLLS)
    parts = [
        _of_range(pins, pins.rows(t, upto=upto))
        .agg(F.count("*").alias("n"))
        .withColumn("name", F.lit(t.name))
        for t in reads
    ]
    read = {row["name"]: row["n"] for row in _union(parts).collect()}
    aside = {name: counts.get(f"{silver.SET_ASIDE.key} {name}", 0) for name in ASIDE}
    return Line(
        stage=SILVER.name,
        rows_in=sum(read.values()),
        outcomes={
            "ticks": counts.get(silver.TICKS.key, 0),
            "candles": counts.get(silver.CANDLES.key, 0),
            **aside,
            "polls": read[bronze.POLLS.name],
        },
    )


def _prints(rows: DataFrame, table: Table) -> DataFrame:
    slot = (
        F.concat_ws(" ", F.lit(table.key), F.col("reason")) if table is silver.SET_ASIDE else None
    )
    return prints(rows, table, coordinates(), slot=slot)


def _union(frames: list[DataFrame]) -> DataFrame:
    return reduce(lambda a, b: a.unionByName(b), frames)
