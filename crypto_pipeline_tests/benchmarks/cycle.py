"""What a warm cycle takes, against bare appends of its own rows: `python -m …benchmarks.cycle`.

    --pairs N      cycles that are measured, each with its bare appends after it (8)

A real broker, a real Spark server and the simulator; Dagster is left out (`benchmarks.minute` has
it). After each cycle the rows of each of its commits are appended once more, each to a table of
its own without keys, range or partition: a bare append of the same frame.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from crypto_pipeline.embedded.running import services
from crypto_pipeline.lake.table import Table
from crypto_pipeline.pipeline import Pipeline, open_pipeline
from crypto_pipeline.resources.market import ingest
from crypto_pipeline.settings import Settings
from crypto_pipeline.source.market import market_clock
from crypto_pipeline.stages import PREDICTIONS, STAGES, SUMMARY, TABLES
from crypto_pipeline.stream.topics import ensure
from crypto_pipeline_tests.benchmarks.figure import Figure, Loop, fixed_loop, keep
from crypto_pipeline_tests.benchmarks.place import place

WARM = 12
# A minute of the market in 20 s: time for a cycle and its bare appends, and none is missed.
SPEED = 3.0
MINUTE = 60.0
TO_FORECAST = tuple(stage for stage in STAGES if stage is not SUMMARY)
BY_KEY = {table.key: table for table in TABLES}
RATIO = 1.5
Result = TypeVar("Result")


@dataclass
class Measured:
    """Seconds of one cycle, and of bare appends of what it committed."""

    stages: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    commits: int = 0
    bare: float = 0.0

    @property
    def to_forecast(self) -> float:
        return sum(self.stages[stage.name] for stage in TO_FORECAST)

    @property
    def whole(self) -> float:
        return sum(self.stages.values()) + sum(self.after.values())


def one_cycle(pipeline: Pipeline) -> Measured:
    """Every stage in the order of Dagster's run: the forecast goes before the summary."""
    found = Measured()
    for stage in (*TO_FORECAST, SUMMARY):
        if stage is PREDICTIONS:
            _timed(found.after, "training", pipeline.train)
        run = _timed(found.stages, stage.name, partial(pipeline.run, stage))
        found.commits += len(run.versions)
        assert run.balances
    _timed(found.after, "scores", pipeline.score)
    _timed(found.after, "publish summary", pipeline.publish_summary)
    _timed(found.after, "publish forecasts", pipeline.publish_forecasts)
    _timed(found.after, "publish status", pipeline.publish_status)
    return found


def _timed(into: dict[str, float], name: str, call: Callable[[], Result]) -> Result:
    started = time.perf_counter()
    result = call()
    into[name] = time.perf_counter() - started
    return result


def bare_appends(pipeline: Pipeline, folder: Path) -> float:
    """Seconds of appending the rows of each commit of this cycle once more, and nothing else."""
    total = 0.0
    for table, batch in newest_batches(pipeline):
        rows = pipeline.lake.increment(table, after=batch - 1, to=batch).coalesce(1)
        path = str(folder / table.layer / table.name)
        started = time.perf_counter()
        rows.write.format("delta").mode("append").save(path)
        total += time.perf_counter() - started
    return total


def newest_batches(pipeline: Pipeline) -> Iterator[tuple[Table, int]]:
    for run in pipeline.runs.values():
        for key in run.versions:
            yield BY_KEY[key], run.batch


@contextmanager
def stack(*, speed: float = SPEED, **options: str) -> Iterator[Settings]:
    """Broker, Spark and simulator of their own; options are settings by name."""
    with (
        place(SIMULATOR_SPEED=f"{speed:g}", **options) as settings,
        services(settings, ["broker", "spark", "simulator"]),
    ):
        ensure(settings)
        yield settings


def measure(settings: Settings, *, pairs: int) -> list[Measured]:
    found = []
    clock = market_clock(settings)
    for _ in range(WARM + pairs):
        clock.sleep(MINUTE - clock.now().timestamp() % MINUTE)
        ingest(settings)
        with open_pipeline(settings) as pipeline:
            one = one_cycle(pipeline)
            pipeline.settle()
            one.bare = bare_appends(pipeline, settings.state_dir / "bare")
        found.append(one)
    return found[WARM:]


def figures(found: Sequence[Measured]) -> list[Figure]:
    return [
        Figure(
            name="20 symbols, raw to the forecast",
            unit="s",
            pairs=[(one.bare, one.to_forecast) for one in found],
        ),
        Figure(
            name="whole cycle",
            unit="s",
            pairs=[(one.bare, one.whole) for one in found],
            limit=RATIO,
        ),
    ]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=8)
    given = parser.parse_args(arguments)
    begin = fixed_loop()
    with stack() as settings:
        found = measure(settings, pairs=given.pairs)
    names = {**found[-1].stages, **found[-1].after}
    by_step = {
        name: round(statistics.median({**one.stages, **one.after}[name] for one in found), 3)
        for name in names
    }
    holds = keep(
        "cycle",
        figures(found),
        loop=Loop(begin=begin, end=fixed_loop()),
        more={"commits": found[-1].commits, "seconds_by_step": by_step},
    )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
