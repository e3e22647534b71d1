"""A bite of maintenance: what is due, one piece after the other, until the time is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from crypto_pipeline.maintenance.perform import Done
from crypto_pipeline.maintenance.work import Kind, Work

# The lake is one writer's; a cycle must not wait longer than this for its turn.
BITE_SECONDS = 20.0


class Perform(Protocol):
    def __call__(self, work: Work, *, seconds: float) -> Done: ...


@dataclass
class Bite:
    """Time that all kinds of work share in one run; it ends early when a cycle waits."""

    perform: Perform
    is_wanted: Callable[[], bool]
    seconds: float = BITE_SECONDS
    clock: Callable[[], float] = time.monotonic
    done: list[Done] = field(default_factory=list)
    _started: float | None = None

    def left(self) -> float:
        """Seconds left; the first question starts the time."""
        if self._started is None:
            self._started = self.clock()
        return self.seconds - (self.clock() - self._started)

    def take(self, works: tuple[Work, ...], kind: Kind) -> tuple[list[Done], int]:
        """Do the pieces of one kind that the time allows; the rest is left, and counted."""
        mine = [work for work in works if work.kind == kind]
        done: list[Done] = []
        for work in mine:
            seconds = self.left()
            if seconds <= 0 or self.is_wanted():
                break
            done.append(self.perform(work, seconds=seconds))
        self.done += done
        return done, len(mine) - sum(not one.is_cut for one in done)
