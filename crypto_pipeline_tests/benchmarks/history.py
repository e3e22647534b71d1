"""Does a cycle get slower with the years? `python -m crypto_pipeline_tests.benchmarks.history`

    --minutes N …    histories to lay down (a day, a week, a month)
    --pairs N        cycles on each, after those that warm (30)

Each minute is sent once and taken by every lake in turn: by one that began with the run, and by
those whose past was laid down (`crypto_pipeline_tests/fabricated`). Stages alone, no Dagster.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.stages import RAW
from crypto_pipeline.stream.ranges import read_ends
from crypto_pipeline_tests.benchmarks.figure import Figure, Loop, fixed_loop, keep
from crypto_pipeline_tests.fabricated.describe import describe
from crypto_pipeline_tests.fabricated.fabricate import fabricate
from crypto_pipeline_tests.fabricated.feed import MarketFeed, feed_of
from crypto_pipeline_tests.fabricated.market import Market
from crypto_pipeline_tests.maintenance.day import Day, a_day, timed
from crypto_pipeline_tests.topics import NAMES, clipped

SYMBOLS = 20
SIZES = (1_440, 10_080, 43_200)
WARM = 5
PAIRS = 30
# Of the longest history; the others show how it grows.
LIMIT = 1.2


def laid_down(day: Day, *, minutes: int, now: datetime) -> tuple[StageRunner, Market]:
    """A runner on a lake that is so old, and the market whose next minute is the present one."""
    lake = replace(day.pipeline.lake, root=f"{day.pipeline.lake.root}-{minutes}")
    laid = fabricate(
        Path(lake.root),
        minutes=minutes,
        symbols=SYMBOLS,
        ends=read_ends(day.settings, NAMES),
        now=now,
        lease_epoch=lake.lease_epoch,
    )
    return replace(day.pipeline.runner, lake=lake), laid.market


def fresh(day: Day) -> StageRunner:
    begin = read_ends(day.settings, NAMES)
    return replace(
        day.pipeline.runner,
        lake=replace(day.pipeline.lake, root=f"{day.pipeline.lake.root}-fresh"),
        read_ends=lambda: clipped(read_ends(day.settings, NAMES), begin),
    )


def measure(feed: MarketFeed, runners: Sequence[StageRunner], *, cycles: int) -> list[list[float]]:
    """Seconds of each lake for each minute; who begins changes from minute to minute."""
    found = []
    for number in range(cycles):
        feed.send_minute()
        seconds = [0.0] * len(runners)
        for place in range(len(runners)):
            turn = (place + number) % len(runners)
            seconds[turn] = timed(runners[turn])
        found.append(seconds)
    return found


@contextmanager
def a_stack() -> Iterator[Day]:
    with tempfile.TemporaryDirectory() as folder, a_day(Path(folder) / "stack") as day:
        yield day


def figures(sizes: Sequence[int], found: Sequence[Sequence[float]]) -> list[Figure]:
    return [
        Figure(
            name=f"a cycle over {minutes:,} minutes, over a new lake's",
            unit="s",
            pairs=[(seconds[0], seconds[place]) for seconds in found],
            limit=LIMIT if minutes == max(sizes) else None,
        )
        for place, minutes in enumerate(sizes, start=1)
    ]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--pairs", type=int, default=PAIRS)
    given = parser.parse_args(arguments)
    begin, laying = fixed_loop(), {}
    # One for all, so that none lacks a minute before those that are sent.
    now = datetime.now(UTC)
    with a_stack() as day:
        runners, market = [fresh(day)], None
        for minutes in given.minutes:
            begun = time.perf_counter()
            runner, market = laid_down(day, minutes=minutes, now=now)
            laying[minutes] = round(time.perf_counter() - begun)
            runners.append(runner)
        assert market is not None
        # The next minute is the same in all of them, whatever its number is in each.
        feed = feed_of(day.settings, market, minutes=given.minutes[-1])
        found = measure(feed, runners, cycles=WARM + given.pairs)[WARM:]
        raw = {
            runner.lake.root: describe(Path(runner.lake.root), today=datetime.now(UTC).date())
            for runner in runners
        }
    holds = keep(
        "history",
        figures(given.minutes, found),
        loop=Loop(begin=begin, end=fixed_loop()),
        more={
            "symbols": SYMBOLS,
            "seconds_to_lay_down": laying,
            "log_objects_of_raw": [one[RAW.primary.key].log_objects for one in raw.values()],
        },
    )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
