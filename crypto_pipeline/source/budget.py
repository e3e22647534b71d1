"""What may be asked of a venue and when: one budget a venue, shared by all processes of a machine.

Each minute's poll is a process of its own, and history and repair are others; so what was
spent, and until when the venue said to wait, is in a small file under a lock. Real time
throughout: a venue counts real seconds, however fast a simulated market runs.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from crypto_pipeline.errors import ToldToWaitError
from crypto_pipeline.source.clock import Clock, SystemClock

# Longer than a window of a minute would make a poll miss the next one.
PATIENCE_SECONDS = 20.0
# Who fetches the past may wait: a full window of any venue's limit, or a ban that is short.
BACKGROUND_PATIENCE_SECONDS = 600.0
# And leaves the rest to the minute's polls, which cannot.
BACKGROUND_SHARE = 0.5
# A rest of less than the clock can tell would be waited for again and again.
SHORTEST_SECONDS = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """At most `limit` weight in each window of so many seconds, aligned to the epoch."""

    limit: int
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """At most `per_second` on average and `burst` at once (the generic cell rate algorithm)."""

    per_second: float
    burst: int = 1


Allowance = Window | Pace


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What is spent of one allowance: `window` is its seconds, or `pace` where it has none."""

    window: str
    used: float
    limit: float


State = dict[str, Any]


class Budget:
    """Take before each request; raises ToldToWaitError when the wait would be too long."""

    def __init__(
        self,
        venue: str,
        allowances: Sequence[Allowance] = (),
        *,
        file: Path | None = None,
        clock: Clock | None = None,
        patience_seconds: float | None = None,
        is_background: bool = False,
    ) -> None:
        self.venue = venue
        self._allowances = tuple(allowances)
        self._file = file
        self._clock = clock or SystemClock()
        usual = BACKGROUND_PATIENCE_SECONDS if is_background else PATIENCE_SECONDS
        self._patience = usual if patience_seconds is None else patience_seconds
        self._is_background = is_background
        self._memory: State = {}
        self._thread = threading.Lock()

    def take(self, weight: int = 1) -> None:
        """Wait for room and spend it; nothing is spent when this raises."""
        while True:
            with self._locked() as state:
                now = self._clock.now()
                wait, why = self._wait(state, weight, now)
                if wait <= 0:
                    self._spend(state, weight, now)
                    return
            if wait > self._patience:
                raise ToldToWaitError(
                    f"{self.venue} was not asked: {why}. Polls go on in {wait:.0f} s.",
                    retry_after_seconds=wait,
                )
            self._clock.sleep(max(wait, SHORTEST_SECONDS))

    def told_to_wait(self, seconds: float) -> None:
        """The venue's own word, for every process; a shorter wait never replaces a longer one."""
        with self._locked() as state:
            until = self._clock.now() + timedelta(seconds=seconds)
            state["not_before"] = max(until.isoformat(), state.get("not_before", ""))

    def learn(self, used: int | None) -> None:
        """The venue's count of this minute, which sees what others behind our address spend."""
        if used is None:
            return
        with self._locked() as state:
            now = self._clock.now()
            for allowance in self._allowances:
                if isinstance(allowance, Window) and allowance.seconds == 60:
                    number, ours = _used(state, allowance, now)
                    state[_key(allowance)] = [number, max(ours, used)]

    def used(self, *, seconds: int = 60) -> int | None:
        """What was spent in the running window of that length; None without such a window."""
        with self._locked() as state:
            for allowance in self._allowances:
                if isinstance(allowance, Window) and allowance.seconds == seconds:
                    return _used(state, allowance, self._clock.now())[1]
        return None

    def levels(self) -> tuple[Level, ...]:
        """Of every allowance now; of a pace, the requests that are ahead of it."""
        state, now = self._look(), self._clock.now()
        return tuple(_level(state, allowance, now) for allowance in self._allowances)

    def wait_seconds(self) -> float:
        """Until the venue may be asked again by its own word; 0 when it may be."""
        told = self._look().get("not_before")
        if told is None:
            return 0.0
        return max(0.0, (datetime.fromisoformat(told) - self._clock.now()).total_seconds())

    def _look(self) -> State:
        """The state without the lock: to see it, no request has to wait."""
        return self._memory if self._file is None else read_state(self._file)

    def _wait(self, state: State, weight: int, now: datetime) -> tuple[float, str]:
        """The longest of all waits, in seconds, and whose it is."""
        told = state.get("not_before")
        waits = [(0.0, "")]
        if told is not None:
            left = (datetime.fromisoformat(told) - now).total_seconds()
            waits.append((left, "the venue said to wait"))
        for allowance in self._allowances:
            if isinstance(allowance, Window):
                number, used = _used(state, allowance, now)
                limit = self._limit(allowance, weight)
                if used + weight > limit:
                    end = datetime.fromtimestamp((number + 1) * allowance.seconds, UTC)
                    why = f"{used} of {limit} a {_length(allowance.seconds)} are spent"
                    waits.append(((end - now).total_seconds() + 0.001, why))
            else:
                # In the background a request goes when no other has wanted the turn before it.
                burst = -1 if self._is_background else allowance.burst - 1
                slack = burst / allowance.per_second
                state["due"] = _due(state, allowance, now)
                ahead = state["due"] - now.timestamp() - slack
                waits.append((ahead, f"the pace is {allowance.per_second:g} requests a second"))
        return max(waits)

    def _limit(self, window: Window, weight: int) -> int:
        """All of it, or in the background a share that lets at least one request through."""
        if not self._is_background:
            return window.limit
        return min(window.limit, max(weight, int(window.limit * BACKGROUND_SHARE)))

    def _spend(self, state: State, weight: int, now: datetime) -> None:
        for allowance in self._allowances:
            if isinstance(allowance, Window):
                number, used = _used(state, allowance, now)
                state[_key(allowance)] = [number, used + weight]
            else:
                due = max(state.get("due", 0.0), now.timestamp())
                state["due"] = due + 1 / allowance.per_second

    @contextmanager
    def _locked(self) -> Iterator[State]:
        if self._file is None:
            with self._thread:
                yield self._memory
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            state = read_state(self._file)
            before = json.dumps(state)
            yield state
            after = json.dumps(state)
            if after != before:
                _overwrite(self._file, after)


def read_state(file: Path) -> State:
    """What a state file holds; the rest of an older, longer text after it is passed over."""
    try:
        content, _ = json.JSONDecoder().raw_decode(file.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _overwrite(file: Path, text: str) -> None:
    """In place, since the lock is on this very file, and in one write.

    A kill before the cut leaves a whole new text with a tail, never an empty file: a ban that
    was forgotten would be lengthened by the next call.
    """
    handle = os.open(file, os.O_WRONLY)
    try:
        os.write(handle, text.encode())
        os.ftruncate(handle, len(text.encode()))
    finally:
        os.close(handle)


def _key(window: Window) -> str:
    return f"window_{window.seconds}"


def _used(state: State, window: Window, now: datetime) -> tuple[int, int]:
    """The running window's number and what is spent of it."""
    number = int(now.timestamp() // window.seconds)
    seen, used = state.get(_key(window), [number, 0])
    return number, used if seen == number else 0


def _due(state: State, pace: Pace, now: datetime) -> float:
    """When the pace lets the next request go; further off only after a clock was put back."""
    return min(float(state.get("due", 0.0)), now.timestamp() + pace.burst / pace.per_second)


def _level(state: State, allowance: Allowance, now: datetime) -> Level:
    if isinstance(allowance, Window):
        used = _used(state, allowance, now)[1]
        return Level(window=str(allowance.seconds), used=used, limit=allowance.limit)
    ahead = (_due(state, allowance, now) - now.timestamp()) * allowance.per_second
    return Level(window="pace", used=max(0.0, ahead), limit=allowance.burst)


def _length(seconds: int) -> str:
    return {60: "minute", 86_400: "day"}.get(seconds, f"{seconds} s")
