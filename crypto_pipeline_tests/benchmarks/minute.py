"""From a poll to its forecast under `make up`: `python -m …benchmarks.minute --minutes 30`.

    --minutes N    of the stack's life, after its first forecast (30)
    --whole-venue  all that the simulator lists, 3,600, in place of the watch-list of 20

The stack as a user starts it, on the simulator at normal speed. A minute's time goes from the
broker's time of its poll record to the commit of its forecast. Also told: how late polls began,
what Dagster takes of a cycle, from the poll's record to the run's end, and the memory of it all.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from deltalake import DeltaTable
from rich.console import Console

from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.benchmarks.figure import Figure, Loop, fixed_loop, keep
from crypto_pipeline_tests.benchmarks.lived import (
    Poll,
    Run,
    commits,
    polls,
    resident_mebibytes,
    runs,
)
from crypto_pipeline_tests.benchmarks.place import place
from crypto_pipeline_tests.embedded import stack
from crypto_pipeline_tests.waiting import wait_until

# Compiled, and with the first history behind it.
WARM = 5
MINUTE = 60.0
FIRST_FORECAST_SECONDS = 600
# Seconds of the median, by symbols; of the 95th percentile; the share of Dagster; MiB; a late poll.
MEDIAN, P95 = 10.0, 15.0
MEDIAN_OF_A_VENUE = 20.0
SHARE = 0.20
MEMORY = 4_096.0
LATE_P99 = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """A poll, the first forecast after it, and the run that made it."""

    poll: Poll
    run: Run
    forecast: float

    @property
    def seconds(self) -> float:
        return self.forecast - self.poll.recorded

    @property
    def whole(self) -> float:
        return self.run.ended - self.poll.recorded

    @property
    def dagsters_share(self) -> float:
        return 1 - self.run.ours / self.whole


def minutes(settings: Settings, *, since: float) -> list[Minute]:
    """Every poll after that instant which a forecast followed."""
    forecasts, cycles = commits(f"{settings.lake_root}/predictions/forecasts"), runs(settings)
    found = []
    for poll in polls(settings.lake_root):
        forecast = next((at for at in forecasts if at > poll.recorded), None)
        run = next((run for run in cycles if run.began > poll.recorded), None)
        if poll.recorded > since and forecast is not None and run is not None:
            found.append(Minute(poll=poll, run=run, forecast=forecast))
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of them do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]


def figures(found: Sequence[Minute], *, memory: float, is_venue: bool) -> list[Figure]:
    """Seconds stand beside those of a minute; a percentile and the memory are one value each."""
    seconds = [one.seconds for one in found]
    late = [one.poll.late for one in found]
    return [
        Figure(
            name="poll record to forecast", unit="s", pairs=[(MINUTE, one) for one in seconds],
            most=MEDIAN_OF_A_VENUE if is_venue else MEDIAN,
        ),
        Figure(
            name="poll record to forecast, p95", unit="s",
            pairs=[(MINUTE, percentile(seconds, 0.95))], most=None if is_venue else P95,
        ),
        Figure(
            name="poll began late, p99", unit="s", pairs=[(MINUTE, percentile(late, 0.99))],
            most=LATE_P99,
        ),
        Figure(
            name="Dagster's seconds of a cycle", unit="s", limit=SHARE,
            pairs=[(one.whole, one.whole - one.run.ours) for one in found],
        ),
        Figure(name="the whole stack", unit="MiB", pairs=[(MEMORY, memory)], most=MEMORY),
    ]  # fmt: skip


def skipped(found: Sequence[Minute]) -> int:
    """Minutes between two polls that no poll was made for."""
    return sum(round((b.poll.due - a.poll.due) / MINUTE) - 1 for a, b in pairwise(found))


def overlapping(found: Sequence[Minute]) -> int:
    return sum(a.run.ended > b.run.began for a, b in pairwise(found) if a.run != b.run)


def tell(found: Sequence[Minute]) -> None:
    console = Console(highlight=False)
    for one in found:
        console.print(
            f"{datetime.fromtimestamp(one.poll.due, tz=UTC):%H:%M} poll +{one.poll.late:.1f} s, "
            f"run {one.run.began - one.poll.recorded:.1f} s after its record, forecast "
            f"{one.seconds:.1f} s, end {one.whole:.1f} s, Dagster {one.dagsters_share:.0%}"
        )


def await_forecast(settings: Settings) -> None:
    """Until a stack that was started has its first forecast; the look is light, and not often."""
    path = f"{settings.lake_root}/predictions/forecasts"
    wait_until(
        lambda: DeltaTable.is_deltatable(path) and bool(commits(path)),
        seconds=FIRST_FORECAST_SECONDS,
        every=2,
        otherwise="no forecast within ten minutes",
    )


def lived(*, is_venue: bool, minutes_of_life: float) -> tuple[list[Minute], float]:
    """The stack's minutes after those that warm it, and its memory at the end in MiB."""
    symbols = {"SYMBOLS": "all"} if is_venue else {}
    with place(**symbols) as settings, stack.running(settings) as up:
        await_forecast(settings)
        since = time.time() + WARM * MINUTE
        time.sleep(max(0.0, since + minutes_of_life * MINUTE - time.time()))
        memory = resident_mebibytes([one.pid for one in up.members()])
        return minutes(settings, since=since), memory


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--whole-venue", action="store_true")
    given = parser.parse_args(arguments)
    begin = fixed_loop()
    found, memory = lived(is_venue=given.whole_venue, minutes_of_life=given.minutes)
    tell(found)
    holds = keep(
        "minute-of-a-venue" if given.whole_venue else "minute",
        figures(found, memory=memory, is_venue=given.whole_venue),
        loop=Loop(begin=begin, end=fixed_loop()),
        more={
            "minutes": len(found),
            "minutes_skipped": skipped(found),
            "runs_overlapping": overlapping(found),
            "poll_record_to_run": round(
                statistics.median(one.run.began - one.poll.recorded for one in found), 2
            ),
        },
    )
    return 0 if holds and not skipped(found) and not overlapping(found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
