"""What the commits say about themselves, and the tables' rows against it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crypto_pipeline.audit.difference import Account, Difference
from crypto_pipeline.audit.pins import Pins
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.lake.table import Table
from crypto_pipeline.silver.schema import SET_ASIDE
from crypto_pipeline.stage import Stage
from crypto_pipeline.stages import STAGES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def account(pins: Pins) -> Account:
    """Batches without a hole, ranges that join, epochs that never go back, rows as counted."""
    differences: list[Difference] = []
    for stage in STAGES:
        differences += sequence(pins, stage)
    return Account(lines=(), differences=(*differences, *_rows(pins)))


def sequence(pins: Pins, stage: Stage) -> Iterator[Difference]:
    """Each batch is once in the log and goes on where the one before it ended."""
    seen: dict[int, CommitRecord] = {}
    epoch = lease = 0
    for _, record in pins.history[stage.name]:
        # Maintenance commits the newest range again, so that the log keeps it.
        if record.batch in seen:
            if _range_of(record) != _range_of(seen[record.batch]):
                yield _wrong(stage, record, "two commits with different ranges")
            continue
        if seen and record.batch != max(seen) + 1:
            yield _wrong(stage, record, f"follows batch {max(seen)}")
        elif seen and not _joins(seen[record.batch - 1], record):
            yield _wrong(stage, record, "does not go on where the batch before it ended")
        if 0 < record.lease_epoch < lease:
            yield _wrong(stage, record, f"lease goes back from {lease} to {record.lease_epoch}")
        lease = max(record.lease_epoch, lease)
        if epoch_of(record) < epoch:
            yield _wrong(stage, record, f"epoch goes back from {epoch} to {epoch_of(record)}")
        epoch = max(epoch_of(record), epoch)
        outcomes = [n for name, n in record.counts.items() if name != "in"]
        if outcomes and record.counts["in"] != sum(outcomes):
            yield _wrong(stage, record, f"counts do not add up: {record.counts}")
        seen[record.batch] = record


def epoch_of(record: CommitRecord) -> int:
    """The number that only rises: of the topics for raw, where there is one."""
    return int(record.ranges.get("kafka", {}).get("epoch", 0))


def _range_of(record: CommitRecord) -> object:
    batches = record.ranges.get("batches", {})
    return record.ranges.get("kafka") or (batches.get("after"), batches.get("to"))


def _joins(before: CommitRecord, record: CommitRecord) -> bool:
    kafka = record.ranges.get("kafka")
    if kafka is None:
        after = record.ranges["batches"].get("after")
        return after is None or after == before.ranges["batches"]["to"]
    if kafka["epoch"] != before.ranges["kafka"]["epoch"]:
        return True
    ended = {
        (topic, number): end
        for topic, spec in before.ranges["kafka"]["topics"].items()
        for number, (_, end) in spec["partitions"].items()
    }
    return all(
        start == ended.get((topic, number), start)
        or (kafka["lost"] and start > ended[topic, number])
        for topic, spec in kafka["topics"].items()
        for number, (start, _) in spec["partitions"].items()
    )


def _rows(pins: Pins) -> list[Difference]:
    """Rows by batch and reason of the tables that are only added to, against the counts."""
    said: dict[tuple[str, int], int] = {}
    removed: set[tuple[str, int]] = set()
    parts = []
    for stage in STAGES:
        # A rebuild may have put rows right that the commits before it had counted.
        rebuilt = [r.batch for _, r in pins.history[stage.name] if r.is_rebuild]
        commits = tuple(c for c in pins.commits(stage) if c[1].batch > max(rebuilt, default=0))
        if not commits:
            continue
        batches = [record.batch for _, record in commits]
        for table in (t for t in stage.outputs if t.write_mode == "append"):
            said |= {(table.key, r.batch): int(r.outputs[table.key][0]) for _, r in commits}
            removed |= {(table.key, r.batch) for _, r in commits if not pins.still_has(table, r)}
            rows = pins.rows(table, upto=max(batches)).where(F.col("batch") >= min(batches))
            parts.append(
                rows.groupBy("batch")
                .agg(F.count("*").alias("n"))
                .withColumn("slot", F.lit(table.key))
            )
            if table is SET_ASIDE:
                said |= _reasons(commits)
                parts.append(_by_reason(rows))
    if not parts:
        return []
    counted = reduce(lambda a, b: a.unionByName(b), parts).collect()
    found = {(row["slot"], row["batch"]): row["n"] for row in counted}
    return [
        Difference(
            table=slot.split(" ")[0],
            what=" ".join(["not what the commit counts", *slot.split(" ")[1:]]),
            rows=abs(found.get((slot, batch), 0) - said.get((slot, batch), 0)),
            example=f"batch {batch}: {said.get((slot, batch), 0)} counted, "
            f"{found.get((slot, batch), 0)} rows",
        )
        for slot, batch in sorted({*said, *found})
        if (slot.split(" ")[0], batch) not in removed
        and found.get((slot, batch), 0) != said.get((slot, batch), 0)
    ]


def _reasons(commits: tuple[tuple[object, CommitRecord], ...]) -> dict[tuple[str, int], int]:
    return {
        (f"{SET_ASIDE.key} ({name})", record.batch): record.counts.get(name, 0)
        for _, record in commits
        for name in ("duplicate", "conflict", "too_late")
    }


def _by_reason(rows: DataFrame) -> DataFrame:
    slot = F.concat(F.lit(f"{SET_ASIDE.key} ("), F.col("reason"), F.lit(")"))
    return rows.groupBy("batch", slot.alias("slot")).agg(F.count("*").alias("n"))


def _wrong(stage: Stage, record: CommitRecord, what: str) -> Difference:
    table: Table = stage.primary
    return Difference(table=table.key, what=what, rows=0, example=f"batch {record.batch}")
