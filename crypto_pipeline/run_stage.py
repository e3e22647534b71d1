"""One stage, one range: plan, read, transform, count, commit, report.

Called by an asset, by a test, by a job elsewhere; it knows nothing of Dagster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from crypto_pipeline.again import Again, again_plan
from crypto_pipeline.books import check_books, count
from crypto_pipeline.errors import LakeError
from crypto_pipeline.holding.limits import DEFAULT_LIMITS, Limits
from crypto_pipeline.holding.sources import note_held
from crypto_pipeline.in_hand import in_hand
from crypto_pipeline.lake.commit import SupersededError
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.opening import one_look
from crypto_pipeline.lake.tuning import as_rows, is_in_hand, release, tune
from crypto_pipeline.plan import Plan, next_plan
from crypto_pipeline.planned_input import KafkaOptions, fitted, read_plan, weighed
from crypto_pipeline.range_bytes import bytes_of, note_sizes
from crypto_pipeline.stage import Stage
from crypto_pipeline.stage_commit import commit_result
from crypto_pipeline.stage_run import StageRun, Watch, joined, nothing_new
from crypto_pipeline.stream.ranges import TopicEnds
from crypto_pipeline.topic_range import WHOLE_BITE, Bite

ATTEMPTS = 3
# A backlog is drained in bites; so many in one cycle, the rest in the next.
BITES = 8

ReadEnds = Callable[[], TopicEnds]


@dataclass(frozen=True)
class StageRunner:
    """Runs stages on one lake; `read_ends` and `kafka_options` serve the stage on topics.

    `bite` is what one run takes at most.
    """

    lake: Lake
    read_ends: ReadEnds
    kafka_options: KafkaOptions
    bite: Bite = WHOLE_BITE
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    limits: Limits = DEFAULT_LIMITS

    def run(self, stage: Stage, *, again: Again | None = None) -> StageRun:
        """Commit the next range of the stage; raises BooksError before anything is written.

        With `again` the range is rows that were read before, unless an unfinished one comes first.
        """
        for _ in range(ATTEMPTS):
            try:
                return self._attempt(stage, again)
            except SupersededError:
                continue
        raise LakeError(
            f"Stage {stage.name} was overtaken {ATTEMPTS} times. Another writer is at work on "
            f"{self.lake.root}: stop it, one writer a lake."
        )

    def drain(self, stage: Stage) -> StageRun:
        """Commit the next range, and further ones while something is left, up to BITES."""
        run = self.run(stage)
        for _ in range(BITES - 1):
            if run.left == 0:
                break
            further = self.run(stage)
            if further.is_empty:
                break
            run = joined(run, further)
        return run

    def _plan(self, stage: Stage, again: Again | None) -> Plan | None:
        """The next range, of tables that are there and of today's shape; None for nothing new."""
        for table in stage.outputs:
            self.lake.ensure(table)
        for table in stage.reads:
            self.lake.register(table)
        path = {table.key: self.lake.path(table) for table in (*stage.outputs, *stage.reads)}
        plan = (
            again_plan(stage, again, path=path)
            if again
            else next_plan(
                stage,
                path=path,
                ends=self.read_ends() if stage.topics else None,
                bite=self.bite,
            )
        )
        if plan is not None and stage.topics:
            plan = fitted(plan, bite=self.bite, weigh=self._weighed)
        if plan is not None and stage.holds_back:
            note_held(self.lake, stage, plan, limits=self.limits)
        return plan

    def _weighed(self, plan: Plan) -> Mapping[str, int]:
        return weighed(self.lake, plan, kafka_options=self.kafka_options)

    def _attempt(self, stage: Stage, again: Again | None) -> StageRun:
        watch = Watch()
        with one_look():
            plan = self._plan(stage, again)
            watch.lap("plan")
            if plan is None:
                return nothing_new(stage, seconds=watch.total())
            given, rows_in = read_plan(
                self.lake, stage, plan, kafka_options=self.kafka_options, now=self.now
            )
            size = as_rows(rows_in, bytes_of(plan.ranges))
            tune(self.lake.spark, rows=size, engine=self.lake.engine)
            watch.lap("read")
            result = stage.run(given)
        watch.lap("transform")
        try:
            if is_in_hand(rows=size, engine=self.lake.engine):
                result, counts = in_hand(self.lake.spark, stage, result)
            else:
                counts = count(stage, result)
            watch.lap("count")
            check_books(stage, rows_in, counts, result)
            if stage.topics:
                note_sizes(plan.ranges, counts.bytes)
            commits = commit_result(self.lake, stage, plan, result, counts)
            watch.lap("commit")
        finally:
            release(result.cached, rows=size, engine=self.lake.engine)
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
            left=plan.left,
            lost=int(plan.ranges.get("kafka", {}).get("lost", 0)),
            phases=watch.laps,
        )
