"""Which batch of a stage took which batch of the stage before it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crypto_pipeline.audit.difference import COORDINATES
from crypto_pipeline.audit.pins import Pins
from crypto_pipeline.bronze import schema as bronze
from crypto_pipeline.lake.table import Table
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.silver import schema as silver
from crypto_pipeline.stage import Stage
from crypto_pipeline.stages import BRONZE, SILVER

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Pair = tuple[int, int]


def silver_batches(pins: Pins) -> list[Pair]:
    """(batch of bronze, batch of silver that read it), for every batch of bronze that has rows.

    The log says it as long as it reaches; before that the rows say it, by their coordinates.
    A batch of which no row was taken goes with the next that was: silver reads them in order.
    """
    return _pairs(
        pins,
        SILVER,
        reads=(bronze.TICKS, bronze.CANDLES),
        writes=(silver.TICKS, silver.CANDLES, silver.SET_ASIDE),
    )


def bronze_batches(pins: Pins) -> list[Pair]:
    """(batch of raw, batch of bronze that read it), found in the same way."""
    return _pairs(
        pins,
        BRONZE,
        reads=(RECORDS,),
        writes=(bronze.TICKS, bronze.CANDLES, bronze.POLLS, bronze.REJECTED),
    )


def _pairs(
    pins: Pins, stage: Stage, *, reads: Sequence[Table], writes: Sequence[Table]
) -> list[Pair]:
    rows = union(pins, reads, upto=pins.taken(stage))
    known: dict[int, int] = {}
    for _, record in pins.history[stage.name]:
        batches = record.ranges["batches"]
        for batch in range(int(batches.get("after", batches["to"] - 1)) + 1, batches["to"] + 1):
            known[batch] = record.batch
    unknown = [
        row["batch"]
        for row in rows.select("batch").distinct().orderBy("batch").collect()
        if row["batch"] not in known
    ]
    if unknown:
        # The first that took a record: what was put through again came later.
        taken = union(pins, writes, upto=pins.batch(stage)).withColumnRenamed("batch", "by")
        first = taken.groupBy(*COORDINATES).agg(F.min("by").alias("by"))
        old = rows.where(F.col("batch") <= F.lit(max(unknown)))
        pairs = old.join(first, on=list(COORDINATES)).groupBy("batch").agg(F.min("by").alias("by"))
        known |= {row["batch"]: row["by"] for row in pairs.collect()}
    return filled(known, unknown, last=pins.batch(stage))


def filled(known: dict[int, int], wanted: Sequence[int], *, last: int) -> list[Pair]:
    """The known pairs, and for each wanted batch without one that of the next known batch.

    >>> filled({1: 1, 4: 2}, [2, 5], last=3)
    [(1, 1), (2, 2), (4, 2), (5, 3)]
    """
    batches = sorted(known)
    missing = {}
    for batch in wanted:
        if batch not in known:
            place = bisect_left(batches, batch)
            missing[batch] = known[batches[place]] if place < len(batches) else last
    return sorted({**known, **missing}.items())


def union(pins: Pins, tables: Sequence[Table], *, upto: int) -> DataFrame:
    """Coordinates and batch of the rows of some tables."""
    frames = [pins.rows(t, upto=upto).select(*COORDINATES, "batch") for t in tables]
    whole = frames[0]
    for frame in frames[1:]:
        whole = whole.unionByName(frame)
    return whole


def with_taken_in(rows: DataFrame, pairs: Sequence[Pair]) -> DataFrame:
    """Rows of bronze with `taken_in`, the batch of silver that read theirs."""
    frame = rows.sparkSession.createDataFrame(list(pairs), "batch bigint, taken_in bigint")
    return rows.join(F.broadcast(frame), on="batch", how="inner")
