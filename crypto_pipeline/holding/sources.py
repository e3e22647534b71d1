"""Which sources gold takes nothing of: noted in the range of each batch of its first stage.

A source is held from the batch of silver on whose records were rejected too often, until it is
released. The state is in the newest commit, so that a retry and a reader see the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import functions as F

from crypto_pipeline.bronze.schema import CANDLES, REJECTED, TICKS
from crypto_pipeline.holding.limits import Limits
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.plan import Plan
from crypto_pipeline.stage import Stage


def held_sources(record: CommitRecord | None) -> dict[str, int]:
    """The held sources by the newest commit, each with the last batch of silver before its hold."""
    pinned = {} if record is None else record.ranges.get("pinned", {})
    return {source: int(after) for source, after in pinned.get("held", {}).items()}


def note_held(lake: Lake, stage: Stage, plan: Plan, *, limits: Limits) -> None:
    """Put into the plan's range what is held, with sources that have just passed the limits."""
    pinned, batches = plan.ranges["pinned"], plan.ranges["batches"]
    again = batches.get("again")
    last = log.last_commit(lake.path(stage.primary))
    held = held_sources(last)
    seen = None if last is None else last.ranges.get("pinned", {}).get("held_seen")
    if again is not None:
        held.pop(again["source"], None)
        to = seen
    else:
        to = _bronze_batch(lake, stage, int(batches["to"]))
        first = to - 1 if seen is None and to is not None else seen
        if to is not None and first is not None and first < to:
            for source in _too_often_rejected(lake, after=first, to=to, limits=limits):
                held.setdefault(source, int(batches["after"]))
    pinned["held"] = held
    pinned["held_seen"] = to if to is not None else seen


def _bronze_batch(lake: Lake, stage: Stage, silver_batch: int) -> int | None:
    """The newest batch of bronze that silver had read with one of its own."""
    record = log.last_commit(lake.path(stage.reads[0]))
    if record is None or record.batch != silver_batch:
        return None
    return int(record.ranges["batches"]["to"])


def _too_often_rejected(lake: Lake, *, after: int, to: int, limits: Limits) -> list[str]:
    counts = source_counts(lake, after=after, to=to)
    return [
        source
        for source, (rejected, rows) in sorted(counts.items())
        if limits.is_passed(rejected=rejected, rows=rows)
    ]


def source_counts(lake: Lake, *, after: int, to: int) -> Mapping[str, tuple[int, int]]:
    """Rejected rows and all rows by source in the batches (after, to] of bronze.

    Without a rejected row, which a minute's commit says itself, nothing is asked of Spark.
    """
    record = log.last_commit(lake.path(REJECTED))
    if record is None or record.batch <= after:
        return {}
    parts = [
        lake.increment(table, after=after, to=to)
        .where(F.col("source").isNotNull())
        .where(F.lit(True) if table is REJECTED else F.col("is_replay").isNull())
        .groupBy("source")
        .agg(F.count("*").alias("n"))
        .withColumn("is_rejected", F.lit(table is REJECTED))
        for table in (TICKS, CANDLES, REJECTED)
    ]
    found: dict[str, tuple[int, int]] = {}
    for row in reduce(lambda a, b: a.unionByName(b), parts).collect():
        rejected, rows = found.get(row["source"], (0, 0))
        more = row["n"] if row["is_rejected"] else 0
        found[row["source"]] = (rejected + more, rows + row["n"])
    return found
