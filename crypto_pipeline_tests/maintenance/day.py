"""A day of minutes made for real: `python -m crypto_pipeline_tests.maintenance.day`.

    --minutes N          until the lake has so many commits of raw (1,440)
    --sitting MINUTES    stop after so long; the next call goes on where this one was

Each minute is one run of every stage, and maintenance runs each half hour of the lake's own time.
So that a day fits into a sitting the stages after silver take a minute while raw, bronze and
silver take the next, each half from a session of its own. After each the Spark server's memory is
looked at. At the end whole cycles are measured against a fresh lake that takes the same minutes,
in turn. What it writes to docs/proofs is what was measured; only `make prove` holds it to a bound.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from crypto_pipeline import settings as settings_module
from crypto_pipeline.contract.topic import POLLS
from crypto_pipeline.embedded.running import services
from crypto_pipeline.lake.session import connect, disconnect
from crypto_pipeline.maintenance.bite import Bite
from crypto_pipeline.maintenance.lake_upkeep import Counted, Upkeep, limits_of
from crypto_pipeline.maintenance.perform import Done, perform
from crypto_pipeline.maintenance.work import Work
from crypto_pipeline.pipeline import Pipeline, open_pipeline
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.stage import Stage
from crypto_pipeline.stages import SILVER, STAGES
from crypto_pipeline.stream.ranges import read_ends
from crypto_pipeline.stream.topics import ensure
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.builders import AT, MINUTE
from crypto_pipeline_tests.conftest import free_port
from crypto_pipeline_tests.crash.feed import Feed
from crypto_pipeline_tests.cut_short import end_in_order
from crypto_pipeline_tests.maintenance.tables import age
from crypto_pipeline_tests.spark_memory import Memory, pid_of_spark
from crypto_pipeline_tests.topics import NAMES, clipped

UPKEEP_EVERY = 30
PAIRS = 5
WARM = 3
UPKEEP_SECONDS = 120.0
# Beyond what the log keeps, so that the next checkpoint cleans it up.
AGED_DAYS = 10.0
LATER = STAGES.index(SILVER) + 1


@dataclass
class Day:
    """One lake on topics of its own; what it did before is read from them."""

    settings: Settings
    pipeline: Pipeline
    later: StageRunner
    feed: Feed
    memory: Memory
    most: dict[str, int]

    def minute(self) -> float:
        """Send one more and run every stage, the later ones on the minute before; seconds."""
        self.feed.send_minute()
        begun = time.perf_counter()
        with ThreadPoolExecutor(max_workers=1) as beside:
            rest = beside.submit(run_all, self.later, STAGES[LATER:])
            run_all(self.pipeline.runner, STAGES[:LATER])
            rest.result()
        seconds = time.perf_counter() - begun
        self.memory.sample()
        if self.feed.minutes % UPKEEP_EVERY == 0:
            self.upkeep()
        return seconds

    def upkeep(self) -> None:
        """What is due by the lake's own time, and the files that are left after it."""
        now = AT + self.feed.minutes * MINUTE
        found = keeping(self, now)
        for kind in ("recommit", "compact", "retain"):
            found.take(kind)
        for name, value in worst(found.count()).items():
            self.most[name] = max(value, self.most.get(name, 0))
        most_file(self.settings.state_dir).write_text(json.dumps(self.most))


def most_file(folder: Path) -> Path:
    """What one sitting found and the next has to know."""
    return folder / "most.json"


def growth(samples: Sequence[float]) -> dict[str, int | float]:
    """Of the Spark server that this sitting started: mebibytes, and more of them a cycle."""
    settled = samples[len(samples) // 3 :]
    if len(settled) < 2:
        return {"cycles": len(samples)}
    return {
        "cycles": len(samples),
        "first": round(samples[0]),
        "peak": round(max(samples)),
        "last": round(samples[-1]),
        "slope_of_the_last_two_thirds": round(
            statistics.linear_regression(range(len(settled)), settled).slope, 3
        ),
    }


def keeping(day: Day, now: datetime) -> Upkeep:
    lake = day.pipeline.lake

    def do(work: Work, *, seconds: float) -> Done:
        return perform(lake, work, now=now, seconds=seconds)

    bite = Bite(perform=do, is_wanted=lambda: False, seconds=UPKEEP_SECONDS)
    return Upkeep(lake=lake, limits=limits_of(day.settings), bite=bite, now=lambda: now)


def worst(counted: Sequence[Counted]) -> dict[str, int]:
    return {
        "files_of_a_past_date": max(one.most_of_a_past_date for one in counted),
        "files_of_now": max(one.most_of_now for one in counted),
        "log_objects": max(one.log_objects for one in counted),
    }


def run_all(runner: StageRunner, stages: Sequence[Stage]) -> None:
    for stage in stages:
        assert runner.run(stage).balances


def timed(runner: StageRunner) -> float:
    begun = time.perf_counter()
    run_all(runner, STAGES)
    return time.perf_counter() - begun


def against_fresh(day: Day) -> dict[str, Any]:
    """Cycles of this lake and of an empty one over the same minutes, in turn, in pairs."""
    old = day.pipeline.runner
    begin = read_ends(day.settings, NAMES)
    fresh = replace(
        old,
        lake=replace(old.lake, root=f"{old.lake.root}-fresh-{day.feed.minutes}"),
        read_ends=lambda: clipped(read_ends(day.settings, NAMES), begin),
    )
    pairs = []
    for number in range(WARM + PAIRS):
        day.feed.send_minute()
        order = (old, fresh) if number % 2 else (fresh, old)
        seconds = {id(runner): timed(runner) for runner in order}
        pairs.append((seconds[id(old)], seconds[id(fresh)]))
    return {
        "seconds": [[round(a, 2), round(b, 2)] for a, b in pairs[WARM:]],
        "ratio": round(statistics.median(a / b for a, b in pairs[WARM:]), 3),
    }


def cleaned_log(day: Day, *, cycles: int) -> dict[str, int]:
    """Log objects of the worst table before and after the log's age was over and a checkpoint."""
    now = AT + day.feed.minutes * MINUTE
    before = worst(keeping(day, now).count())["log_objects"]
    age(day.pipeline.lake.root, days=AGED_DAYS)
    for _ in range(cycles):
        day.minute()
    return {"before": before, "after": worst(keeping(day, now).count())["log_objects"]}


@contextmanager
def a_day(folder: Path) -> Iterator[Day]:
    """The stack of this folder, started anew, on the ports that it always had."""
    settings = _settings(folder)
    with services(settings, ["broker", "spark"]):
        ensure(settings)
        polls = read_ends(settings, [POLLS.name]).topics[POLLS.name].partitions
        kept = most_file(folder)
        with open_pipeline(settings) as pipeline, beside(pipeline.runner, settings) as later:
            yield Day(
                settings=settings,
                pipeline=pipeline,
                later=later,
                feed=Feed(settings, minutes=sum(span.end for span in polls.values())),
                memory=Memory(pid_of_spark(settings)),
                most=json.loads(kept.read_text()) if kept.exists() else {},
            )


@contextmanager
def beside(runner: StageRunner, settings: Settings) -> Iterator[StageRunner]:
    """The same runner with a session of its own: how a plan runs is set for a session."""
    spark = connect(settings, role="later-stages")
    try:
        yield replace(runner, lake=replace(runner.lake, spark=spark))
    finally:
        disconnect(spark)


def _settings(folder: Path) -> Settings:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "ports.json"
    if not file.exists():
        names = ("KAFKA_PORT", "KAFKA_CONTROLLER_PORT", "SPARK_PORT")
        file.write_text(json.dumps({name: str(free_port()) for name in names}))
    values = {"STATE_DIR": str(folder), "MARKET": "simulated", **json.loads(file.read_text())}
    return settings_module.load(values, env_file=folder / "no.env")


def live(day: Day, *, minutes: int, until: float) -> list[float]:
    """Cycle after cycle until the lake has so many minutes or the sitting is over."""
    seconds: list[float] = []
    while day.feed.minutes < minutes and time.monotonic() < until:
        seconds.append(day.minute())
    run_all(day.later, STAGES[LATER:])
    return seconds


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=1_440)
    parser.add_argument("--sitting", type=float, default=24 * 60)
    given = parser.parse_args(arguments)
    end_in_order()
    claim = proof.begin("day-of-minutes", reduced=given.minutes, full=given.minutes)
    until = time.monotonic() + given.sitting * 60
    with a_day(claim.state) as day:
        seconds = live(day, minutes=given.minutes, until=until)
        day.upkeep()
        figures: dict[str, Any] = {
            "minutes": day.feed.minutes,
            "left": max(0, given.minutes - day.feed.minutes),
            "after_upkeep": day.most,
            "spark_mebibytes": growth(day.memory.samples),
            "against_fresh": against_fresh(day),
        }
    claim.keep(figures)
    mean = statistics.fmean(seconds) if seconds else 0.0
    print(f"{len(seconds)} cycles of {mean:.1f} s: {figures}")  # noqa: T201 - a command's output
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
