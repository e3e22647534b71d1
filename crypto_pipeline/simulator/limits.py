"""What a simulated venue bears, and the log that says whether it was ever asked for more.

Real milliseconds throughout. A simulator at speed k is asked k times as often, so its limits are
k times as high.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from crypto_pipeline.observed.ledger import Tally
from crypto_pipeline.observed.simulator_metrics import EXCESS, REQUESTS

LOG_LIMIT = 20_000


class Limit(Protocol):
    def take(self, weight: int, now_ms: int) -> float:
        """Count the request; seconds to wait when it was one too many, else 0."""
        ...

    @property
    def used(self) -> int: ...


class PerWindow:
    """So much weight a window that begins on the clock, as Binance counts its minutes."""

    def __init__(self, limit: float, window_ms: int) -> None:
        self.limit = limit
        self._window_ms = window_ms
        self._number = 0
        self.used = 0

    def take(self, weight: int, now_ms: int) -> float:
        if now_ms // self._window_ms != self._number:
            self._number, self.used = now_ms // self._window_ms, 0
        self.used += weight
        left_ms = self._window_ms - now_ms % self._window_ms
        return left_ms / 1000 if self.used > self.limit else 0.0


class PerSecond:
    """A bucket of `burst` requests that fills at `rate` a second."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._level, self._at_ms = burst, 0
        self.used = 0

    def take(self, weight: int, now_ms: int) -> float:
        filled = (now_ms - self._at_ms) / 1000 * self._rate
        self._level, self._at_ms = min(self._burst, self._level + filled), now_ms
        self.used += weight
        # Clocks of milliseconds: a request a hair early is on time.
        if self._level < 1 - 0.002 * self._rate:
            return (1 - self._level) / self._rate
        self._level -= 1
        return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as the venue saw it. `is_over` broke a limit, `is_early` a `Retry-After`."""

    venue: str
    path: str
    at_ms: int
    status: int
    fault: str | None
    weight: int
    is_over: bool
    is_early: bool


class RequestLog:
    """The newest requests of all venues, oldest first, bounded; `tally` counts all of them."""

    def __init__(self) -> None:
        self._asked: deque[Asked] = deque(maxlen=LOG_LIMIT)
        self.tally = Tally()

    def add(self, asked: Asked) -> None:
        self._asked.append(asked)
        self.tally.count(REQUESTS, asked.venue, str(asked.status))
        if asked.is_over:
            self.tally.count(EXCESS, asked.venue, "over")
        if asked.is_early:
            self.tally.count(EXCESS, asked.venue, "early")

    def report(self) -> list[dict[str, Any]]:
        return [asdict(asked) for asked in self._asked]
