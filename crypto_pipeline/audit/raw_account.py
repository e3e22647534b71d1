"""Raw against the offsets that its commits claim: each once, none left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from crypto_pipeline.audit.difference import COORDINATES, Account, Difference, Line, coordinates
from crypto_pipeline.audit.pins import Pins
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.stages import RAW

if TYPE_CHECKING:
    from pyspark.sql import Column

PARTITION = ("topic", "epoch", "partition")
Place = tuple[str, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Offsets [first, end) of a partition that retention removed unread, as a commit says."""

    place: Place
    first: int
    end: int


def account(pins: Pins) -> Account:
    """Offsets of the range by topic, epoch and partition: contiguous, save what is said as lost."""
    rows = pins.within(pins.rows(RECORDS, upto=pins.batch(RAW)))
    once = rows.groupBy(*COORDINATES).agg(F.count("*").alias("copies"))
    before = F.lag("offset").over(Window.partitionBy(*PARTITION).orderBy("offset"))
    jumps = (
        once.withColumn("before", before)
        .withColumn("skipped", F.col("offset") - F.col("before") - 1)
        .withColumn("lost", _lost_in_jump(said_as_lost(pins)))
    )
    found = (
        jumps.groupBy(*PARTITION)
        .agg(
            F.sum("copies").alias("rows"),
            F.count("*").alias("offsets"),
            F.sum(F.coalesce("skipped", F.lit(0))).alias("skipped"),
            F.sum("lost").alias("lost"),
            F.min(F.when(F.col("copies") > 1, F.col("offset"))).alias("doubled_at"),
            F.min(F.when(F.col("skipped") > F.col("lost"), F.col("offset"))).alias("jump_at"),
        )
        .orderBy(*PARTITION)
        .collect()
    )
    differences = []
    for row in found:
        place = (row["topic"], row["epoch"], row["partition"])
        if row["rows"] > row["offsets"]:
            differences.append(
                _difference("doubled", row["rows"] - row["offsets"], place, row["doubled_at"])
            )
        if row["skipped"] > row["lost"]:
            differences.append(
                _difference("missing", row["skipped"] - row["lost"], place, row["jump_at"] - 1)
            )
    line = Line(
        stage=RAW.name,
        rows_in=sum(row["offsets"] + row["skipped"] - row["lost"] for row in found),
        outcomes={"accepted": sum(row["rows"] for row in found)},
    )
    return Account(lines=(line,), differences=(*differences, *_against_commits(pins)))


def said_as_lost(pins: Pins) -> tuple[Loss, ...]:
    """Offsets between two ranges in a row: retention removed them, and the commit says so."""
    lost: list[Loss] = []
    ended: dict[Place, int] = {}
    for _, record in pins.history[RAW.name]:
        kafka = record.ranges.get("kafka", {})
        for topic, spec in kafka.get("topics", {}).items():
            for number, (start, end) in spec["partitions"].items():
                place = (topic, int(kafka["epoch"]), int(number))
                if kafka.get("lost") and start > ended.get(place, start):
                    lost.append(Loss(place=place, first=ended[place], end=start))
                ended[place] = end
    return tuple(lost)


def _lost_in_jump(losses: Sequence[Loss]) -> Column:
    """Of the offsets between a row and the one before it, those that are said as lost.

    A loss outside the audited range lies in no jump of it, and excuses nothing there.
    """
    inside = (F.when(_is_in_jump(one), one.end - one.first).otherwise(0) for one in losses)
    return reduce(lambda a, b: a + b, inside, F.lit(0))


def _is_in_jump(loss: Loss) -> Column:
    topic, epoch, partition = loss.place
    is_place = (
        (F.col("topic") == topic) & (F.col("epoch") == epoch) & (F.col("partition") == partition)
    )
    return is_place & (F.col("before") < loss.first) & (F.col("offset") >= loss.end)


def _against_commits(pins: Pins) -> list[Difference]:
    """Rows of each batch and partition against the range in its commit."""
    claimed: Counter[tuple[int, str, int]] = Counter()
    for _, record in (c for c in pins.commits(RAW) if pins.still_has(RECORDS, c[1])):
        for topic, spec in record.ranges.get("kafka", {}).get("topics", {}).items():
            for number, (start, end) in spec["partitions"].items():
                claimed[record.batch, topic, int(number)] = end - start
    if not claimed:
        return []
    batches = [batch for batch, _, _ in claimed]
    rows = pins.rows(RECORDS, upto=max(batches)).where(F.col("batch") >= min(batches))
    found = rows.groupBy("batch", "topic", "partition").agg(
        F.count("*").alias("n"), F.min(coordinates()).alias("first")
    )
    counts: Counter[tuple[int, str, int]] = Counter()
    for row in found.collect():
        counts[row["batch"], row["topic"], row["partition"]] = row["n"]
    return [
        Difference(
            table=RECORDS.key,
            what="not what the commit's offsets say",
            rows=abs(counts[key] - claimed[key]),
            example=f"batch {key[0]}, {key[1]} partition {key[2]}: "
            f"{claimed[key]} offsets, {counts[key]} rows",
        )
        for key in sorted({*claimed, *counts})
        if key[0] in set(batches) and counts[key] != claimed[key]
    ]


def _difference(what: str, rows: int, place: Place, offset: int) -> Difference:
    topic, epoch, partition = place
    return Difference(
        table=RECORDS.key, what=what, rows=rows, example=f"{topic} {epoch}/{partition}@{offset}"
    )
