"""One stage, one range: plan, read, transform, count, commit, report.

Called by an asset, by a test, by a job elsewhere; it knows nothing of Dagster.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from crypto_pipeline.errors import BooksError, LakeError
from crypto_pipeline.lake import log
from crypto_pipeline.lake.commit import SupersededError, Write, commit
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.lake.table import Table
from crypto_pipeline.plan import Plan, next_plan
from crypto_pipeline.stage import Stage, StageInput, StageResult
from crypto_pipeline.stream.ranges import TopicEnds
from crypto_pipeline.version import VERSION

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ATTEMPTS = 3

# Compiling a plan pays only over many rows: a minute's cycle took 16 s interpreted and 25 s
# compiled (20 symbols, 2 cores), because each batch number makes a new plan to compile.
COMPILED_ROWS = 2_000
INTERPRETED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}
COMPILED = {
    "spark.sql.codegen.wholeStage": "true",
    "spark.sql.codegen.factoryMode": "FALLBACK",
    "spark.sql.adaptive.enabled": "true",
}

ReadEnds = Callable[[], TopicEnds]
KafkaOptions = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRun:
    """What one run of a stage did. `batch` is 0 when nothing was new; seconds are wall time."""

    stage: str
    batch: int
    rows_in: int
    outcomes: Mapping[str, int]
    rows_out: Mapping[str, int]
    ranges: Mapping[str, Any]
    versions: Mapping[str, int]
    seconds: float
    newest_fact_at: datetime | None
    phases: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return self.batch == 0

    @property
    def rejected(self) -> int:
        return self.outcomes.get("rejected", 0)

    @property
    def balances(self) -> bool:
        return self.rows_in == sum(self.outcomes.values())


@dataclass(frozen=True)
class StageRunner:
    """Runs stages on one lake; `read_ends` and `kafka_options` serve the stage on topics."""

    lake: Lake
    read_ends: ReadEnds
    kafka_options: KafkaOptions
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def run(self, stage: Stage) -> StageRun:
        """Commit the next range of the stage; raises BooksError before anything is written."""
        for _ in range(ATTEMPTS):
            try:
                return self._attempt(stage)
            except SupersededError:
                continue
        raise LakeError(
            f"Stage {stage.name} was overtaken {ATTEMPTS} times. Another writer is at work on "
            f"{self.lake.root}: stop it, one writer a lake."
        )

    def _attempt(self, stage: Stage) -> StageRun:
        watch = _Watch()
        for table in stage.outputs:
            self.lake.ensure(table)
        path = {table.key: self.lake.path(table) for table in (*stage.outputs, *stage.reads)}
        plan = next_plan(stage, path=path, ends=self.read_ends() if stage.topics else None)
        watch.lap("plan")
        if plan is None:
            return _nothing_new(stage, seconds=watch.total())
        given, rows_in = self._read(stage, plan)
        watch.lap("read")
        result = stage.run(given)
        watch.lap("transform")
        try:
            counts = count(stage, result)
            watch.lap("count")
            check_books(stage, rows_in, counts, result)
            commits = self._commit(stage, plan, result, counts)
            watch.lap("commit")
        finally:
            for frame in result.cached:
                frame.unpersist()
        return StageRun(
            stage=stage.name,
            batch=plan.batch,
            rows_in=rows_in,
            outcomes=counts.outcomes,
            rows_out=counts.outputs,
            ranges=plan.ranges,
            versions={key: record.version for key, record in commits.items()},
            seconds=watch.total(),
            newest_fact_at=given.span[1] if given.span else None,
            phases=watch.laps,
        )

    def _read(self, stage: Stage, plan: Plan) -> tuple[StageInput, int]:
        pinned = plan.ranges["pinned"]

        def known(
            table: Table, *, since: datetime | None = None, until: datetime | None = None
        ) -> DataFrame:
            if log.open_table(self.lake.path(table)) is None:
                self.lake.ensure(table)
            frame = self.lake.read(table, since=since, until=until)
            return _as_planned(stage, plan, table, frame)

        epoch = 0
        before: dict[str, datetime] = {}
        if stage.topics:
            new = {"kafka": self._read_topics(plan)}
            epoch = int(plan.ranges["kafka"]["epoch"])
            rows_in, span = topic_rows(plan.ranges), None
        else:
            batches = plan.ranges["batches"]
            new = {
                table.key: self.lake.increment(table, after=batches["after"], to=batches["to"])
                for table in stage.reads
            }
            # What the range holds stays with it, so that the next one knows how far this came.
            if any(table.key not in batches.get("rows", {}) for table in stage.reads):
                batches["rows"] = profile(new, stage.reads)
            rows_in, span = totals(batches["rows"].values())
            before = {key: _utc(at) for key, at in batches.get("before", {}).items()}
        self._tune(rows_in)
        now = datetime.fromisoformat(pinned.setdefault("now", self.now().isoformat()))
        given = StageInput(
            market=self.lake.market,
            batch=plan.batch,
            epoch=epoch,
            now=now,
            new=new,
            known=known,
            span=span,
            before=before,
        )
        return given, rows_in

    def _tune(self, rows: int) -> None:
        """Set the session for a minute's rows or for a backlog."""
        for name, value in (COMPILED if rows > COMPILED_ROWS else INTERPRETED).items():
            self.lake.spark.conf.set(name, value)

    def _read_topics(self, plan: Plan) -> DataFrame:
        topics = plan.ranges["kafka"]["topics"]

        # An empty partition costs a task and its consumer, so it is not asked.
        wanted = {
            name: {n: span for n, span in topic["partitions"].items() if span[1] > span[0]}
            for name, topic in topics.items()
        }

        def offsets(side: int) -> str:
            return json.dumps(
                {
                    name: {n: span[side] for n, span in parts.items()}
                    for name, parts in wanted.items()
                    if parts
                }
            )

        assigned = {name: [int(n) for n in parts] for name, parts in wanted.items() if parts}
        return (
            self.lake.spark.read.format("kafka")
            .options(**self.kafka_options)
            .option("assign", json.dumps(assigned))
            .option("startingOffsets", offsets(0))
            .option("endingOffsets", offsets(1))
            .option("includeHeaders", "true")
            .option("failOnDataLoss", "true")
            .load()
        )

    def _commit(
        self, stage: Stage, plan: Plan, result: StageResult, counts: Counts
    ) -> dict[str, CommitRecord]:
        """Sides first, together, only with rows; the primary last and always: it has the range."""
        sides = [
            table
            for table in stage.sides
            if table.key not in plan.done and counts.outputs[table.key] > 0
        ]

        def one(table: Table) -> CommitRecord:
            return self._commit_table(table, stage, plan, result, counts)

        commits = {}
        if sides:
            with ThreadPoolExecutor(max_workers=len(sides)) as pool:
                commits = {t.key: c for t, c in zip(sides, pool.map(one, sides), strict=True)}
        commits[stage.primary.key] = one(stage.primary)
        return commits

    def _commit_table(
        self, table: Table, stage: Stage, plan: Plan, result: StageResult, counts: Counts
    ) -> CommitRecord:
        record = CommitRecord(
            stage=stage.name,
            batch=plan.batch,
            write_id=str(uuid.uuid4()),
            ranges=plan.ranges,
            counts={"in": sum(counts.outcomes.values()), **counts.outcomes},
            outputs={k: [n, *counts.spans[k]] for k, n in counts.outputs.items()},
            code_version=VERSION,
        )
        write = self._write(table, result, counts)
        written = commit(write, record)
        if written.rows_written not in (-1, write.row_count):
            raise BooksError(
                f"Table {table.key} took {written.rows_written} rows of batch {plan.batch}, "
                f"{write.row_count} were counted. Run `make once` again and keep the log."
            )
        return written

    def _write(self, table: Table, result: StageResult, counts: Counts) -> Write:
        rows = result.outputs[table.key]
        path = self.lake.path(table)
        expected = counts.outputs[table.key]
        if table.write_mode == "overwrite":
            return Write(path=path, rows=rows, row_count=expected, overwrite=True)
        touched = result.slices.get(table.key)
        if touched is None or counts.replacing[table.key] == 0:
            return Write(path=path, rows=rows, row_count=expected)
        whole = rows.unionByName(touched.kept)
        return Write(
            path=path,
            rows=whole,
            row_count=whole.count(),
            replace_where=touched.predicate,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Rows by outcome over the input, rows of each output and what time they are about.

    `replacing` counts rows that take the place of older ones; spans are epoch seconds.
    """

    outcomes: Mapping[str, int]
    outputs: Mapping[str, int]
    spans: Mapping[str, tuple[float | None, float | None]]
    replacing: Mapping[str, int]


def count(stage: Stage, result: StageResult) -> Counts:
    """Count everything in one query: a Connect round trip costs more than the counting."""
    nothing = F.lit(None).cast("double")
    label = F.coalesce(F.col("outcome"), F.lit("?"))
    parts = [
        frame.groupBy(label.alias("name"))
        .agg(F.count("*").alias("n"))
        .select(
            F.lit("outcome").alias("what"),
            "name",
            "n",
            nothing.alias("first"),
            nothing.alias("last"),
        )
        for frame in result.classified
    ]
    parts += [
        _sized(result.outputs[table.key], "output", table.key, table.fact_column)
        for table in stage.outputs
    ]
    parts += [_sized(s.replacing, "replacing", key, None) for key, s in result.slices.items()]
    found: dict[str, dict[str, int]] = {"outcome": {}, "output": {}, "replacing": {}}
    spans = {}
    for row in reduce(lambda a, b: a.unionByName(b), parts).collect():
        kind = found[row["what"]]
        kind[row["name"]] = kind.get(row["name"], 0) + row["n"]
        if row["what"] == "output":
            spans[row["name"]] = (row["first"], row["last"])
    return Counts(
        outcomes=found["outcome"],
        outputs=found["output"],
        spans=spans,
        replacing=found["replacing"],
    )


def _sized(frame: DataFrame, what: str, name: str, fact: str | None) -> DataFrame:
    at = F.lit(None).cast("double") if fact is None else F.col(fact).cast("double")
    return frame.agg(
        F.count("*").alias("n"), F.min(at).alias("first"), F.max(at).alias("last")
    ).select(F.lit(what).alias("what"), F.lit(name).alias("name"), "n", "first", "last")


def check_books(stage: Stage, rows_in: int, counts: Counts, result: StageResult) -> None:
    """Rows in equal the rows of all outcomes, and each output equals the outcomes meant for it."""
    if rows_in != sum(counts.outcomes.values()):
        raise BooksError(
            f"Stage {stage.name} read {rows_in} rows and accounts for {dict(counts.outcomes)}. "
            "Nothing was written. Run the stage again; if it stays, keep the raw table and tell us."
        )
    for key in set(result.equations.values()):
        expected = sum(
            counts.outcomes.get(outcome, 0)
            for outcome, target in result.equations.items()
            if target == key
        )
        if counts.outputs[key] != expected:
            raise BooksError(
                f"Stage {stage.name} would write {counts.outputs[key]} rows to {key}, its outcomes "
                f"say {expected}. Nothing was written."
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


def totals(
    parts: Iterable[Sequence[Any]],
) -> tuple[int, tuple[datetime, datetime] | None]:
    """Add up (rows, first, last) of several tables; times are epoch seconds."""
    known = list(parts)
    firsts = [first for _, first, _ in known if first is not None]
    lasts = [last for _, _, last in known if last is not None]
    total = sum(int(n) for n, _, _ in known)
    return total, (_utc(min(firsts)), _utc(max(lasts))) if firsts else None


def topic_rows(ranges: Mapping[str, Any]) -> int:
    """Rows of a range of offsets; true for topics that are never compacted."""
    return sum(
        end - start
        for topic in ranges["kafka"]["topics"].values()
        for start, end in topic["partitions"].values()
    )


def _as_planned(stage: Stage, plan: Plan, table: Table, frame: DataFrame) -> DataFrame:
    """Own rows of this batch, left by a dead attempt, are unseen; inputs end with the range."""
    if table in stage.outputs:
        return frame.where(F.col("batch") < F.lit(plan.batch))
    if table in stage.reads:
        return frame.where(F.col("batch") <= F.lit(plan.ranges["batches"]["to"]))
    return frame


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)


def _nothing_new(stage: Stage, *, seconds: float) -> StageRun:
    return StageRun(
        stage=stage.name,
        batch=0,
        rows_in=0,
        outcomes={},
        rows_out={},
        ranges={},
        versions={},
        seconds=seconds,
        newest_fact_at=None,
    )


class _Watch:
    """Seconds since its making, and by lap."""

    def __init__(self) -> None:
        self._begin = self._last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 3)
        self._last = now

    def total(self) -> float:
        return round(time.perf_counter() - self._begin, 3)
