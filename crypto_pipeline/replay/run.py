"""Rejected rows put through again after a fix: the same ids, the same minutes, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import functions as F

from crypto_pipeline.again import Again, rejected_rows, rows_again
from crypto_pipeline.bronze import transform
from crypto_pipeline.bronze.schema import REJECTED
from crypto_pipeline.lake import log
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.stage import Stage, StageInput
from crypto_pipeline.stage_run import StageRun
from crypto_pipeline.stages import BRONZE, STAGES

PASSED = ("tick", "candle", "poll")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What became of the rejected rows, by outcome, and the runs that took the good ones on."""

    outcomes: Mapping[str, int]
    runs: tuple[StageRun, ...]

    @property
    def passed(self) -> int:
        return sum(self.outcomes.get(name, 0) for name in PASSED)


def replay(runner: StageRunner, *, reason: str | None = None, source: str | None = None) -> Replay:
    """Put rejected rows of a reason or a source through bronze again, then every stage after it.

    A batch of bronze of its own takes those that pass now, with the coordinates that they had;
    they are never too late. Rows that were replayed before, or still break a rule, stay as they
    are, so a second replay commits nothing. Killed, it is finished by the next run of the stage.
    """
    last = log.last_commit(runner.lake.path(REJECTED))
    again = rejected_rows(upto=0 if last is None else last.batch, reason=reason, source=source)
    outcomes = outlook(runner, again)
    if not any(outcomes.get(name) for name in PASSED):
        return Replay(outcomes=outcomes, runs=())
    run = runner.run(BRONZE, again=again)
    while run.ranges["batches"].get("again") != again:
        run = runner.run(BRONZE, again=again)
    return Replay(outcomes=run.outcomes, runs=(run, *drain(runner)))


def outlook(runner: StageRunner, again: Again) -> dict[str, int]:
    """Rows by what would become of them; nothing is written."""
    lake = runner.lake
    for table in BRONZE.outputs:
        lake.ensure(table)
    given = StageInput(
        market=lake.market,
        batch=0,
        epoch=0,
        now=datetime.now(UTC),
        new=rows_again(lake, BRONZE, again),
        known=lake.read,
        span=None,
        again="replay",
    )
    parsed = transform.parse(given.new[BRONZE.reads[0].key])
    judged = transform.put_through_again(transform.classify(parsed, market=lake.market), given)
    rows = judged.groupBy("outcome").agg(F.count("*").alias("n")).collect()
    return {row["outcome"]: row["n"] for row in rows}


def drain(runner: StageRunner, *, after: Stage = BRONZE) -> tuple[StageRun, ...]:
    """Every stage after one, until none of them finds anything new."""
    later = STAGES[STAGES.index(after) + 1 :]
    runs = []
    for stage in later:
        while not (run := runner.run(stage)).is_empty:
            runs.append(run)
    return tuple(runs)
