"""A planned range → what a stage is given: its new rows, what earlier batches wrote, its clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from crypto_pipeline.again import rows_again
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.table import Table
from crypto_pipeline.lake.tuning import all_kept, as_rows, kept
from crypto_pipeline.plan import Plan
from crypto_pipeline.range_bytes import bytes_of, cut_to_bytes, note_sizes, topic_rows
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.raw.transform import record_bytes
from crypto_pipeline.stage import Known, Stage, StageInput
from crypto_pipeline.topic_range import Bite

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Of Spark's own Kafka source, as far as raw reads it.
KAFKA_SCHEMA = (
    "key binary, value binary, topic string, partition int, offset bigint, timestamp timestamp, "
    "headers array<struct<key: string, value: binary>>"
)
# A consumer that has reached its end is closed only when its last fetch returns.
FETCH = {"kafka.fetch.max.wait.ms": "20"}
# The longest record that a broker takes by default (`max.message.bytes`), compressed.
LONGEST_BYTES = 1024 * 1024
KafkaOptions = Mapping[str, str]
Clock = Callable[[], datetime]


def fitted(plan: Plan, *, bite: Bite, weigh: Callable[[Plan], Mapping[str, int]]) -> Plan:
    """The plan, its range cut to a bite's bytes when its records turn out to be longer than those
    before them. Few records are not weighed: be they as long as they may, they are no more.
    """
    while topic_rows(plan.ranges) * LONGEST_BYTES > bite.bytes:
        note_sizes(plan.ranges, weigh(plan))
        shorter = cut_to_bytes(plan.ranges, most=bite.bytes)
        if shorter is None:
            break
        plan = replace(plan, ranges=shorter, left=shorter["kafka"]["left"])
    return plan


def weighed(lake: Lake, plan: Plan, *, kafka_options: KafkaOptions) -> dict[str, int]:
    """Bytes of the planned records by topic; they are read for it, and none of them is kept."""
    sizes = (
        _read_topics(lake, plan, kafka_options)
        .groupBy("topic")
        .agg(F.sum(record_bytes()).alias("bytes"))
    )
    return {row["topic"]: row["bytes"] for row in sizes.collect()}


def read_plan(
    lake: Lake, stage: Stage, plan: Plan, *, kafka_options: KafkaOptions, now: Clock
) -> tuple[StageInput, int]:
    """The stage's input over the planned range, and how many rows it has.

    What is found out here and must be the same in a retry (the clock, the rows and facts of the
    range) is noted in the plan's ranges, which go into the commit.
    """
    epoch = 0
    before: dict[str, datetime] = {}
    if stage.topics:
        new = {"kafka": _read_topics(lake, plan, kafka_options)}
        epoch = int(plan.ranges["kafka"]["epoch"])
        rows_in, span = topic_rows(plan.ranges), None
    else:
        batches = plan.ranges["batches"]
        again = batches.get("again")
        new = (
            rows_again(lake, stage, again)
            if again
            else {
                table.key: lake.increment(table, after=batches["after"], to=batches["to"])
                for table in stage.reads
            }
        )
        # What the range holds stays with it, so that the next one knows how far this came.
        if any(table.key not in batches.get("rows", {}) for table in stage.reads):
            batches["rows"] = profile(new, stage.reads)
            if again and RECORDS.key in new:
                batches["bytes"] = _value_bytes(new[RECORDS.key])
        rows_in, span = totals(batches["rows"].values())
        before = {key: _utc(at) for key, at in batches.get("before", {}).items()}
    size = as_rows(rows_in, bytes_of(plan.ranges))
    pinned = plan.ranges["pinned"].setdefault("now", now().isoformat())
    given = StageInput(
        market=lake.market,
        batch=plan.batch,
        epoch=epoch,
        now=datetime.fromisoformat(pinned),
        new=new,
        known=_known(lake, stage, plan),
        last=lambda table: _last_ranges(lake, table),
        span=span,
        before=before,
        again=plan.ranges.get("batches", {}).get("again", {}).get("what"),
        held=frozenset(plan.ranges["pinned"].get("held", {})),
        keep=partial(kept, rows=size, engine=lake.engine),
        keep_all=partial(all_kept, rows=size, engine=lake.engine),
    )
    return given, rows_in


def _known(lake: Lake, stage: Stage, plan: Plan) -> Known:
    def known(
        table: Table,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        columns: Collection[str] | None = None,
    ) -> DataFrame:
        if log.open_table(lake.path(table)) is None:
            lake.ensure(table)
        frame = lake.read(table, since=since, until=until, columns=columns)
        return _as_planned(stage, plan, table, frame)

    return known


def _last_ranges(lake: Lake, table: Table) -> Mapping[str, Any] | None:
    last = log.last_commit(lake.path(table))
    return None if last is None else last.ranges


def _read_topics(lake: Lake, plan: Plan, kafka_options: KafkaOptions) -> DataFrame:
    topics = plan.ranges["kafka"]["topics"]
    # An empty partition costs a task and its consumer, so it is not asked.
    wanted = {
        name: {n: span for n, span in topic["partitions"].items() if span[1] > span[0]}
        for name, topic in topics.items()
    }
    wanted = {name: parts for name, parts in wanted.items() if parts}
    if not wanted:
        # Retention took all there was: the range is empty, and still has to be committed.
        return lake.spark.createDataFrame([], KAFKA_SCHEMA)

    def offsets(side: int) -> str:
        return json.dumps(
            {name: {n: span[side] for n, span in parts.items()} for name, parts in wanted.items()}
        )

    assigned = {name: [int(n) for n in parts] for name, parts in wanted.items()}
    return (
        lake.spark.read.format("kafka")
        .options(**FETCH, **kafka_options)
        .option("assign", json.dumps(assigned))
        .option("startingOffsets", offsets(0))
        .option("endingOffsets", offsets(1))
        .option("includeHeaders", "true")
        .option("failOnDataLoss", "true")
        .load()
    )


def profile(
    new: Mapping[str, DataFrame], tables: tuple[Table, ...]
) -> dict[str, tuple[int, float | None, float | None]]:
    """Rows of the range by table, and the first and last instant that they are about."""
    parts = [
        new[table.key].agg(
            F.lit(table.key).alias("key"),
            F.count("*").alias("n"),
            F.min(table.fact_column).cast("double").alias("first"),
            F.max(table.fact_column).cast("double").alias("last"),
        )
        for table in tables
    ]
    rows = reduce(lambda a, b: a.unionByName(b), parts).collect()
    return {row["key"]: (row["n"], row["first"], row["last"]) for row in rows}


def _value_bytes(rows: DataFrame) -> int:
    """Of rows that are read again no commit says how long they are."""
    (found,) = rows.agg(F.sum(F.octet_length("value")).alias("bytes")).collect()
    return int(found["bytes"] or 0)


def totals(
    parts: Iterable[Sequence[Any]],
) -> tuple[int, tuple[datetime, datetime] | None]:
    """Add up (rows, first, last) of several tables; times are epoch seconds."""
    known = list(parts)
    firsts = [first for _, first, _ in known if first is not None]
    lasts = [last for _, _, last in known if last is not None]
    total = sum(int(n) for n, _, _ in known)
    return total, (_utc(min(firsts)), _utc(max(lasts))) if firsts else None


def _as_planned(stage: Stage, plan: Plan, table: Table, frame: DataFrame) -> DataFrame:
    """Own rows of this batch, left by a dead attempt, are unseen; inputs end with the range."""
    if table in stage.outputs:
        return frame.where(F.col("batch") < F.lit(plan.batch))
    if table in stage.reads:
        return frame.where(F.col("batch") <= F.lit(plan.ranges["batches"]["to"]))
    return frame


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)
