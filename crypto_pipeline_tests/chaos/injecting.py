"""How each kind of fault is done to a running stack, and undone: a context, healed at its end."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from crypto_pipeline.simulator.clock import _write as write_clock
from crypto_pipeline_tests.chaos import hostile, messages
from crypto_pipeline_tests.chaos.disk import Disk
from crypto_pipeline_tests.chaos.kinds import REFUSALS
from crypto_pipeline_tests.chaos.recorder import Recorder
from crypto_pipeline_tests.chaos.schedule import Fault
from crypto_pipeline_tests.chaos.stack import Stack, signal_to, state_of

# A step of the market's clock in minutes: back as a wrong time server's correction does it.
FORWARD_MINUTES = (2, 9)
BACK_MINUTES = (1, 3)
ANSWERS_SPOILED = 4
RETRY_AFTER_SECONDS = 3.0
REFUSALS_SPOILED = 1
WORKER_SECONDS = 45.0
HEAL_SECONDS = 120.0
KILLED_SECONDS = 10.0
# The market is asked by runs, which have to start first, and a cycle that goes on is waited for.
HIT_SECONDS = 120.0


@dataclass(frozen=True)
class Harm:
    """A fault that is done: how it ends, and, asked after its end, whether it met anything."""

    has_hit: Callable[[], bool]
    heal: Callable[[], None] = lambda: None


def met(was_hit: bool) -> Harm:
    """What is over at once."""
    return Harm(has_hit=lambda: was_hit)


@dataclass
class Injector:
    """Does faults to one stack; `beat` is called while it waits, so that the market goes on.

    `hit` says by the fault's name whether there was anything that it was done to.
    """

    stack: Stack
    recorder: Recorder
    disk: Disk
    beat: Callable[[], None]
    hit: dict[str, bool] = field(default_factory=dict)

    @contextmanager
    def injected(self, fault: Fault) -> Iterator[None]:
        """The fault holds inside the block; at its end it is healed, as far as that is ours."""
        ways: Mapping[str, Callable[[Fault], Harm]] = {
            "kill": self._kill,
            "stop": self._stop,
            "pause": self._pause,
            "wire": self._wire,
            "venue": self._venue,
            "clock": self._clock,
            "disk": self._disk,
            "records": self._records,
            "poison": self._poison,
            "hostile": self._hostile,
        }
        harm = ways[fault.kind.group](fault)
        try:
            yield
        finally:
            harm.heal()
            self.hit[fault.name] = harm.has_hit()

    def _pid(self, target: str) -> int | None:
        """The victim; a run worker is waited for, a service that is down is not there to be hit."""
        if target == "run":
            return self._worker()
        if target == "up":
            return None if self.stack.process is None else self.stack.process.pid
        return self.stack.pids().get(target)

    def _worker(self) -> int | None:
        found: list[int] = []

        def is_there() -> bool:
            found[:] = self.stack.run_workers()
            return bool(found)

        self._wait(is_there, seconds=WORKER_SECONDS, every=0.2)
        return found[-1] if found else None

    def _wait(self, is_so: Callable[[], bool], *, seconds: float, every: float = 0.5) -> None:
        """Until it is so or the time is over."""
        until = time.monotonic() + seconds
        while not is_so() and time.monotonic() < until:
            self.beat()
            time.sleep(every)

    def _signal(self, target: str, number: signal.Signals) -> bool:
        pid = self._pid(target)
        return pid is not None and signal_to(pid, number)

    def _kill(self, fault: Fault) -> Harm:
        has_hit = self._signal(fault.kind.target, signal.SIGKILL)
        if fault.kind.target == "up" and self.stack.process is not None:
            # Its services outlive it for a moment, and would be taken for a stack that is up.
            self.stack.process.wait(KILLED_SECONDS)
        return met(has_hit)

    def _stop(self, fault: Fault) -> Harm:
        """Orderly; the whole stack is started again as its user would."""
        if fault.kind.target != "stack":
            return met(self._signal(fault.kind.target, signal.SIGTERM))
        was_up = not self.stack.has_ended
        self.stack.stop()
        self.stack.start()
        return met(was_up)

    def _pause(self, fault: Fault) -> Harm:
        pid = self._pid(fault.kind.target)
        if pid is None or not signal_to(pid, signal.SIGSTOP):
            return met(False)

        def heal() -> None:
            if state_of(pid) == "T":
                signal_to(pid, signal.SIGCONT)

        return Harm(has_hit=lambda: True, heal=heal)

    def _wire(self, fault: Fault) -> Harm:
        """Healed when something has come over it, so that a quiet moment is no fault."""
        name, mode = fault.kind.target.split()
        self.stack.turn(name, mode)

        def heal() -> None:
            self._wait(has_hit, seconds=HIT_SECONDS)
            self.stack.turn(name, "pass")

        def has_hit() -> bool:
            return self.stack.harmed(name) > 0

        return Harm(has_hit=has_hit, heal=heal)

    def _venue(self, fault: Fault) -> Harm:
        """The next answers fail; healed when all of them have been given."""
        kind = fault.kind.target
        count = REFUSALS_SPOILED if kind in REFUSALS else ANSWERS_SPOILED
        before, given = self._spoiled(kind), [0]
        self._market("/faults", {"kind": kind, "count": count, "retry_after": RETRY_AFTER_SECONDS})

        def heal() -> None:
            self._wait(lambda: not self._waiting(), seconds=HEAL_SECONDS)
            # Less than before where the market was started again: it has forgotten, so have we.
            given[0] = self._spoiled(kind) - before
            if self._waiting() and (pid := self._pid("simulator")) is not None:
                # Nobody may be asked at the moment; a market that starts again has forgotten.
                signal_to(pid, signal.SIGKILL)

        return Harm(has_hit=lambda: given[0] > 0, heal=heal)

    def _waiting(self) -> int:
        with suppress(OSError, ValueError):
            return sum(one["left"] for one in self._market("/faults/log")["waiting"])
        return 0

    def _spoiled(self, kind: str) -> int:
        """Answers that were spoiled so since the market's start, of its newest thousand."""
        with suppress(OSError, ValueError):
            return sum(one["kind"] == kind for one in self._market("/faults/log")["done"])
        return 0

    def _market(self, path: str, content: object = None) -> dict[str, list[dict[str, Any]]]:
        """The simulator's own doors, past the wire."""
        address = f"http://127.0.0.1:{self.stack.behind['http']}{path}"
        data = None if content is None else json.dumps(content).encode()
        until = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(address, data=data, timeout=10) as answer:
                    return dict(json.load(answer))
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)

    def _clock(self, fault: Fault) -> Harm:
        """The market's clock steps: its mapping is moved, and the market starts again with it."""
        low, high = FORWARD_MINUTES if fault.kind.target == "forward" else BACK_MINUTES
        minutes = low + fault.dice * (high - low)
        sign = 1 if fault.kind.target == "forward" else -1
        file = self.stack.settings.home / "simulator" / "clock.json"
        content = json.loads(file.read_text())
        content["mapping"]["start_sim"] += sign * int(minutes * 60_000)
        write_clock(file, content)
        return met(self._signal("simulator", signal.SIGKILL))

    def _disk(self, fault: Fault) -> Harm:
        is_full = self.disk.fill()
        return Harm(has_hit=lambda: is_full, heal=self.disk.free)

    def _records(self, fault: Fault) -> Harm:
        now = self.stack.market_now()
        made = {
            "repeated": lambda: messages.repeated(self.recorder),
            "late": lambda: messages.late(self.recorder, now),
            "drifted": lambda: messages.drifted(self.recorder, now),
        }[fault.kind.target]()
        assert made, "no fact was seen yet that could be sent again"
        return met(messages.send(self.stack.direct, made) > 0)

    def _poison(self, fault: Fault) -> Harm:
        return met(messages.send(self.stack.direct, messages.poison(fault.kind.target)) > 0)

    def _hostile(self, fault: Fault) -> Harm:
        return met(hostile.feed(self.stack.settings, fault.kind.target, fault.dice) > 0)
