"""Raw against the offsets that its commits claim: each once, none left out."""

from __future__ import annotations

from collections import Counter

from pyspark.sql import Window
from pyspark.sql import functions as F

from crypto_pipeline.audit.difference import COORDINATES, Account, Difference, Line, coordinates
from crypto_pipeline.audit.pins import Pins
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.stages import RAW

PARTITION = ("topic", "epoch", "partition")
Place = tuple[str, int, int]


def account(pins: Pins) -> Account:
    """Offsets of the range by topic, epoch and partition: contiguous, save what is said as lost."""
    rows = pins.within(pins.rows(RECORDS, upto=pins.batch(RAW)))
    once = rows.groupBy(*COORDINATES).agg(F.count("*").alias("copies"))
    before = F.lag("offset").over(Window.partitionBy(*PARTITION).orderBy("offset"))
    jumps = once.withColumn("skipped", F.col("offset") - before - 1)
    found = (
        jumps.groupBy(*PARTITION)
        .agg(
            F.sum("copies").alias("rows"),
            F.count("*").alias("offsets"),
            F.sum(F.coalesce("skipped", F.lit(0))).alias("skipped"),
            F.min(F.when(F.col("copies") > 1, F.col("offset"))).alias("doubled_at"),
            F.min(F.when(F.col("skipped") > 0, F.col("offset"))).alias("jump_at"),
        )
        .orderBy(*PARTITION)
        .collect()
    )
    lost = said_as_lost(pins)
    differences = []
    for row in found:
        place = (row["topic"], row["epoch"], row["partition"])
        if row["rows"] > row["offsets"]:
            differences.append(
                _difference("doubled", row["rows"] - row["offsets"], place, row["doubled_at"])
            )
        if row["skipped"] > lost[place]:
            differences.append(
                _difference("missing", row["skipped"] - lost[place], place, row["jump_at"] - 1)
            )
    line = Line(
        stage=RAW.name,
        rows_in=sum(
            row["offsets"] + row["skipped"] - lost[row["topic"], row["epoch"], row["partition"]]
            for row in found
        ),
        outcomes={"accepted": sum(row["rows"] for row in found)},
    )
    return Account(lines=(line,), differences=(*differences, *_against_commits(pins)))


def said_as_lost(pins: Pins) -> Counter[Place]:
    """Offsets between two ranges in a row: retention removed them, and the commit says so."""
    lost: Counter[Place] = Counter()
    ended: dict[Place, int] = {}
    for _, record in pins.history[RAW.name]:
        kafka = record.ranges.get("kafka", {})
        for topic, spec in kafka.get("topics", {}).items():
            for number, (start, end) in spec["partitions"].items():
                place = (topic, int(kafka["epoch"]), int(number))
                if kafka.get("lost"):
                    lost[place] += max(0, start - ended.get(place, start))
                ended[place] = end
    return lost


def _against_commits(pins: Pins) -> list[Difference]:
    """Rows of each batch and partition against the range in its commit."""
    claimed: Counter[tuple[int, str, int]] = Counter()
    for _, record in pins.commits(RAW):
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
