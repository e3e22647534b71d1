"""After a cycle the state of what it committed is read, and of nothing that others wrote."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

from crypto_pipeline.lake.table import Table
from crypto_pipeline.pipeline import Pipeline
from crypto_pipeline.publication import Screen
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.stage import Stage
from crypto_pipeline.stage_run import StageRun, nothing_new
from crypto_pipeline.stages import BRONZE, RAW, SILVER


@dataclass
class FakeLake:
    """Knows which tables' states were computed."""

    computed: list[str] = field(default_factory=list)

    def load_state(self, table: Table) -> None:
        self.computed.append(table.key)


@dataclass
class FakeRunner:
    """Commits to the primary of each stage and to nothing else."""

    lake: FakeLake = field(default_factory=FakeLake)

    def drain(self, stage: Stage) -> StageRun:
        return committed(stage)


def committed(stage: Stage) -> StageRun:
    return replace(nothing_new(stage, seconds=0.0), batch=3, versions={stage.primary.key: 3})


def test_what_this_session_committed_is_read_and_nothing_else() -> None:
    runner = FakeRunner()
    pipeline = Pipeline(
        runner=cast(StageRunner, cast(Any, runner)), screen=cast(Screen, cast(Any, None))
    )
    pipeline.settle()
    assert runner.lake.computed == []
    pipeline.run(RAW)
    pipeline.run(BRONZE)
    # Run in another engine, whose tables are not ours to look at.
    pipeline.note(committed(SILVER))
    pipeline.settle()
    assert sorted(runner.lake.computed) == [BRONZE.primary.key, RAW.primary.key]
