"""Ranges that are read once more: rejected rows after a fix, and what was held back from gold.

Such a batch takes no new batch of the stage before. What it reads is said in its range under
`again`, so a retry after a kill reads exactly the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from crypto_pipeline.bronze.schema import REJECTED
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.plan import Plan, ahead_plan, newest_facts
from crypto_pipeline.stage import Stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Again = Mapping[str, Any]


def rejected_rows(*, upto: int, reason: str | None = None, source: str | None = None) -> Again:
    """Rows of bronze/rejected up to a batch, of one reason or source where given."""
    return {"what": "replay", "reason": reason, "source": source, "upto": upto}


def held_rows(*, source: str, after: int, to: int) -> Again:
    """What the stage reads, of one source, of the batches (after, to] that were held back."""
    return {"what": "release", "source": source, "after": after, "to": to}


def again_plan(stage: Stage, again: Again, *, path: Mapping[str, str]) -> Plan:
    """A batch that reads `again`; a batch that an attempt left unfinished comes first."""
    last = log.last_commit(path[stage.primary.key])
    unfinished = ahead_plan(stage, last, path=path)
    if unfinished is not None:
        return unfinished
    to = 0 if last is None else int(last.ranges["batches"]["to"])
    batches = {
        "table": stage.reads[0].key,
        "after": to,
        "to": to,
        "before": newest_facts(last),
        "again": dict(again),
    }
    pinned = {} if last is None else dict(last.ranges.get("pinned", {}))
    pinned.pop("now", None)
    return Plan(
        batch=1 if last is None else last.batch + 1,
        ranges={"batches": batches, "pinned": pinned},
        done=frozenset(),
        is_retry=False,
    )


def rows_again(lake: Lake, stage: Stage, again: Again) -> dict[str, DataFrame]:
    """The rows that a range with `again` reads, by the key of the table they stand for."""
    if again["what"] == "release":
        return {
            table.key: lake.increment(table, after=again["after"], to=again["to"]).where(
                F.col("source") == F.lit(again["source"])
            )
            for table in stage.reads
        }
    rows = lake.increment(REJECTED, after=0, to=again["upto"])
    for name in ("reason", "source"):
        if again[name] is not None:
            rows = rows.where(F.col(name) == F.lit(again[name]))
    nothing = F.lit(None).cast("binary")
    return {
        stage.reads[0].key: rows.drop("reason", "rule", "source", "schema_version").withColumn(
            "key", nothing
        )
    }
