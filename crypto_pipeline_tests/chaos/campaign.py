"""A chunk of faults on a fresh stack: each after the former has healed, then the books."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from crypto_pipeline.errors import PipelineError
from crypto_pipeline_tests.benchmarks.minute import resident_mebibytes
from crypto_pipeline_tests.chaos.beat import Beat
from crypto_pipeline_tests.chaos.disk import Disk, a_disk
from crypto_pipeline_tests.chaos.exposure import beyond_loopback, canaries, leaks, open_to_others
from crypto_pipeline_tests.chaos.injecting import Injector
from crypto_pipeline_tests.chaos.recorder import Recorder
from crypto_pipeline_tests.chaos.schedule import Fault, in_order
from crypto_pipeline_tests.chaos.stack import Stack, wired_stack
from crypto_pipeline_tests.short_lived import variables
from crypto_pipeline_tests.store.server import serving

FIRST_SECONDS = 600.0
LOOK_SECONDS = 0.5


@dataclass(kw_only=True)
class Healed:
    """One index: what was done, and how long the stack took to be itself again."""

    index: int
    names: list[str]
    held_seconds: float
    recovery_seconds: float
    bound: float
    has_recovered: bool
    ended: int = 0
    why: str = ""
    # Whether each met anything; of what was done before it was looked at nothing is known.
    hit: dict[str, bool] = field(default_factory=dict)

    @property
    def is_in_time(self) -> bool:
        return self.has_recovered and self.recovery_seconds <= self.bound


@dataclass
class Campaign:
    """A running stack under faults, and what was measured of it so far."""

    stack: Stack
    disk: Disk
    recorder: Recorder
    beat: Beat
    begun: float = field(default_factory=time.monotonic)
    healed: list[Healed] = field(default_factory=list)
    samples: list[tuple[float, float, float]] = field(default_factory=list)
    fresh_at: float = field(default_factory=time.monotonic)
    longest_stale: float = 0.0
    _newest: datetime | None = None

    def start(self) -> None:
        self.stack.start()
        self.disk.pids = lambda: list(self.stack.pids().values())
        self.recorder.start()

    def warm_up(self) -> None:
        """Until the first forecast: a cold Spark takes its time, and nothing is harmed yet."""
        self.start()
        until = time.monotonic() + FIRST_SECONDS
        while self.stack.newest_origin() is None:
            assert time.monotonic() < until, "no first forecast"
            self.beat()
            time.sleep(LOOK_SECONDS)
        self.fresh_at = time.monotonic()

    def go_through(
        self, index: int, faults: Sequence[Fault], *, to_forecast: bool = True
    ) -> Healed:
        """Do the faults of an index, overlapping if there are two, and wait until all is well.

        Without `to_forecast` it is enough that all services are up and that nothing is spooled.
        """
        injector = Injector(self.stack, self.recorder, self.disk, self.tend)
        begun = time.monotonic()
        with ExitStack() as held:
            for fault in in_order(faults):
                held.enter_context(injector.injected(fault))
            self._pass(max(fault.seconds for fault in faults))
        healed_at = time.monotonic()
        ended = self._revive(faults)
        bound = max(fault.kind.bound for fault in faults)
        why = self._recover(bound, to_forecast=to_forecast)
        self._sample()
        return self._note(
            Healed(
                index=index,
                names=[fault.name for fault in faults],
                held_seconds=round(healed_at - begun, 1),
                recovery_seconds=round(time.monotonic() - healed_at, 1),
                bound=bound,
                has_recovered=not why,
                ended=ended,
                why=why,
                hit=injector.hit,
            )
        )

    def tend(self) -> None:
        """What goes on in all waiting: polls are asked for, forecasts are looked at."""
        self.beat()
        try:
            newest = self.stack.newest_origin()
        except (OSError, PipelineError):
            return
        now = time.monotonic()
        self.longest_stale = max(self.longest_stale, now - self.fresh_at)
        if newest is not None and (self._newest is None or newest > self._newest):
            self._newest, self.fresh_at = newest, now

    def _pass(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.tend()
            time.sleep(min(0.2, seconds))

    def _revive(self, faults: Sequence[Fault]) -> int:
        """Start an `up` again that gave up, where a person would have to; 1 when it had."""
        if not any(fault.kind.may_end for fault in faults):
            return 0
        until = time.monotonic() + 25
        while not self.stack.has_ended and time.monotonic() < until:
            if self.stack.is_up():
                return 0
            self.tend()
            time.sleep(LOOK_SECONDS)
        if not self.stack.has_ended:
            return 0
        self.stack.stop()
        self.stack.start()
        return 1

    def _recover(self, bound: float, *, to_forecast: bool) -> str:
        """Empty when all is well again, else what is not."""
        since = None
        if to_forecast:
            since = max(filter(None, (self.stack.market_now(), self._newest)))
        until = time.monotonic() + bound
        while True:
            self.tend()
            why = self._why_not(since)
            if not why or time.monotonic() > until:
                return why
            time.sleep(LOOK_SECONDS)

    def _why_not(self, since: datetime | None) -> str:
        if self.stack.has_ended:
            return f"up has ended: {self.stack.text()[-800:]}"
        if since is not None and (self._newest is None or self._newest <= since):
            return f"no forecast is newer than {since:%H:%M:%S}"
        if self.stack.spooled():
            return "polls wait in the spool"
        return "" if self.stack.is_up() else f"not all services are up: {self.stack.pids()}"

    def _sample(self) -> None:
        memory = resident_mebibytes([one.pid for one in self.stack.members()])
        self.samples.append((time.monotonic() - self.begun, memory, self.disk.used() / 2**20))

    def _note(self, healed: Healed) -> Healed:
        self.healed.append(healed)
        mark = "ok" if healed.is_in_time else f"NOT RECOVERED ({healed.why})"
        mark += "".join(f", {name} HIT NOTHING" for name, was in healed.hit.items() if not was)
        print(  # noqa: T201 - a command's output
            f"{healed.index:4d} {' + '.join(healed.names):45s} held {healed.held_seconds:5.1f} s, "
            f"recovered in {healed.recovery_seconds:5.1f} s {mark}",
            flush=True,
        )
        return healed


def open_campaign(held: ExitStack, *, is_in_bucket: bool = False, **options: str) -> Campaign:
    """A fresh state folder on a disk of its own, wires, and a stack that is not started yet.

    Else in that folder, the lake is in a bucket of an object store that is started for it.
    """
    folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
    disk = held.enter_context(a_disk(folder / "state"))
    store = held.enter_context(serving()) if is_in_bucket else None
    stack = held.enter_context(wired_stack(folder, folder / "state", store=store, **options))
    stack.variables = canaries()
    if is_in_bucket:
        # A bucket's tables are opened by the settings of the process that looks at them.
        held.enter_context(variables(stack.direct.store.environment()))
    recorder = Recorder(stack.direct)
    held.callback(recorder.stop)
    beat = Beat(stack.settings, market_now=stack.market_now)
    return Campaign(stack=stack, disk=disk, recorder=recorder, beat=beat)


def close(campaign: Campaign) -> list[str]:
    """Stop the stack in order; what it had shown to others: listeners, open files, secrets."""
    pids = [one.pid for one in campaign.stack.members()]
    shown = beyond_loopback(pids) + open_to_others(campaign.stack.settings)
    campaign.recorder.stop()
    told = leaks(campaign.stack, pids)
    campaign.stack.stop()
    return shown + told


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares, per hour."""
    if len(points) < 3:
        return 0.0
    return 3600 * statistics.linear_regression(*zip(*points, strict=True)).slope


def told(campaign: Campaign) -> dict[str, Any]:
    """What a chunk's campaign says of itself, for the tally."""
    memory = [(at, mebibytes) for at, mebibytes, _ in campaign.samples]
    disk = [(at, mebibytes) for at, _, mebibytes in campaign.samples]
    return {
        "seconds": round(time.monotonic() - campaign.begun),
        "healed": [vars(one) for one in campaign.healed],
        "longest_stale": round(campaign.longest_stale, 1),
        "memory_slope": round(slope(memory)),
        "memory_mebibytes": round(memory[-1][1]) if memory else 0,
        "disk_slope": round(slope(disk)),
        "disk": campaign.disk.how,
        "python": sys.version.split()[0],
    }
