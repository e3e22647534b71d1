"""How often the pages refresh: the asked interval, longer while the process has too much to do.

Streamlit answers a session's timer when it gets to it. With more sessions than one core can
serve the answers come later and later, so the timers themselves are slowed down, and made
faster again when there is room.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# The interval times these; each step is taken after a window on the one before.
STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0)
WINDOW_SECONDS = 4.0
# Of one core, and of runs at work at the same time: Python has one of each.
BUSY, ROOM = 0.88, 0.75
CROWDED, CALM = 4.0, 1.0


class Pace:
    """Shared by all sessions of a process. `interval` is what a timer should be set to now."""

    def __init__(
        self,
        base_seconds: float,
        *,
        now: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._base, self._now, self._cpu = base_seconds, now, cpu
        self._lock = threading.Lock()
        self._step = 0
        self._begun, self._cpu_begun = now(), cpu()
        self._spent = 0.0
        self.runs = 0

    @property
    def interval(self) -> float:
        return self._base * STEPS[self._step]

    @property
    def is_stretched(self) -> bool:
        return self._step > 0

    @contextmanager
    def run(self) -> Iterator[None]:
        """Count one run of a live part."""
        started = self._now()
        try:
            yield
        finally:
            self._note(self._now() - started)

    def _note(self, seconds: float) -> None:
        with self._lock:
            self.runs += 1
            self._spent += seconds
            elapsed = self._now() - self._begun
            if elapsed < max(WINDOW_SECONDS, 2 * self.interval):
                return
            self._judge(self._spent / elapsed, (self._cpu() - self._cpu_begun) / elapsed)
            self._begun, self._cpu_begun, self._spent = self._now(), self._cpu(), 0.0

    def _judge(self, at_once: float, cores: float) -> None:
        if cores > BUSY or at_once > CROWDED:
            self._step = min(self._step + 1, len(STEPS) - 1)
        elif self._step:
            # What the load would be at the faster step, so that it does not swing to and fro.
            ahead = cores * STEPS[self._step] / STEPS[self._step - 1]
            if ahead < ROOM and at_once < CALM:
                self._step -= 1
