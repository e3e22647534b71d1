"""How each kind of fault is done to a running stack, and undone: a context, healed at its end."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

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


@dataclass
class Injector:
    """Does faults to one stack; `beat` is called while it waits, so that the market goes on."""

    stack: Stack
    recorder: Recorder
    disk: Disk
    beat: Callable[[], None]

    @contextmanager
    def injected(self, fault: Fault) -> Iterator[None]:
        """The fault holds inside the block; at its end it is healed, as far as that is ours."""
        ways: Mapping[str, Callable[[Fault], Callable[[], None] | None]] = {
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
        heal = ways[fault.kind.group](fault)
        try:
            yield
        finally:
            if heal is not None:
                heal()

    def _pid(self, target: str) -> int | None:
        """The victim; a run worker is waited for, a service that is down is not there to be hit."""
        if target == "run":
            return self._worker()
        if target == "up":
            return None if self.stack.process is None else self.stack.process.pid
        return self.stack.pids().get(target)

    def _worker(self) -> int | None:
        until = time.monotonic() + WORKER_SECONDS
        while not (found := self.stack.run_workers()):
            if time.monotonic() > until:
                return None
            self.beat()
            time.sleep(0.2)
        return found[-1]

    def _kill(self, fault: Fault) -> None:
        if (pid := self._pid(fault.kind.target)) is not None:
            signal_to(pid, signal.SIGKILL)

    def _stop(self, fault: Fault) -> None:
        """Orderly; the whole stack is started again as its user would."""
        if fault.kind.target == "stack":
            self.stack.stop()
            self.stack.start()
        elif (pid := self._pid(fault.kind.target)) is not None:
            signal_to(pid, signal.SIGTERM)

    def _pause(self, fault: Fault) -> Callable[[], None] | None:
        pid = self._pid(fault.kind.target)
        if pid is None:
            return None
        signal_to(pid, signal.SIGSTOP)

        def heal() -> None:
            if state_of(pid) == "T":
                signal_to(pid, signal.SIGCONT)

        return heal

    def _wire(self, fault: Fault) -> Callable[[], None]:
        name, mode = fault.kind.target.split()
        self.stack.turn(name, mode)
        return lambda: self.stack.turn(name, "pass")

    def _venue(self, fault: Fault) -> Callable[[], None]:
        """The next answers fail; healed when all of them have been given."""
        is_final = fault.kind.target in REFUSALS
        count = REFUSALS_SPOILED if is_final else ANSWERS_SPOILED
        wanted = {"kind": fault.kind.target, "count": count, "retry_after": RETRY_AFTER_SECONDS}
        self._market("/faults", wanted)

        def heal() -> None:
            until = time.monotonic() + HEAL_SECONDS
            while self._waiting() and time.monotonic() < until:
                self.beat()
                time.sleep(0.5)
            if self._waiting() and (pid := self._pid("simulator")) is not None:
                # Nobody may be asked at the moment; a market that starts again has forgotten.
                signal_to(pid, signal.SIGKILL)

        return heal

    def _waiting(self) -> int:
        with suppress(OSError, ValueError):
            return sum(one["left"] for one in self._market("/faults/log")["waiting"])
        return 0

    def _market(self, path: str, content: object = None) -> dict[str, list[dict[str, int]]]:
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

    def _clock(self, fault: Fault) -> None:
        """The market's clock steps: its mapping is moved, and the market starts again with it."""
        low, high = FORWARD_MINUTES if fault.kind.target == "forward" else BACK_MINUTES
        minutes = low + fault.dice * (high - low)
        sign = 1 if fault.kind.target == "forward" else -1
        file = self.stack.settings.home / "simulator" / "clock.json"
        content = json.loads(file.read_text())
        content["mapping"]["start_sim"] += sign * int(minutes * 60_000)
        write_clock(file, content)
        if (pid := self._pid("simulator")) is not None:
            signal_to(pid, signal.SIGKILL)

    def _disk(self, fault: Fault) -> Callable[[], None]:
        self.disk.fill()
        return self.disk.free

    def _records(self, fault: Fault) -> None:
        now = self.stack.market_now()
        made = {
            "repeated": lambda: messages.repeated(self.recorder),
            "late": lambda: messages.late(self.recorder, now),
            "drifted": lambda: messages.drifted(self.recorder, now),
        }[fault.kind.target]()
        assert made, "no fact was seen yet that could be sent again"
        messages.send(self.stack.direct, made)

    def _poison(self, fault: Fault) -> None:
        messages.send(self.stack.direct, messages.poison(fault.kind.target))

    def _hostile(self, fault: Fault) -> None:
        hostile.feed(self.stack.settings, fault.kind.target, fault.dice)
