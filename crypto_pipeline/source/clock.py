"""The clock port: what time it is at the market, and waiting for it.

Live, that is the machine's clock. A simulated or recorded market may run faster than real
time and from another date; its clock is learnt once from the simulator and then computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """`sleep` waits that many seconds of this clock's own time."""

    def now(self) -> datetime: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock, UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueClock:
    """A clock that showed `start_at` at the real instant `real_start_at` and runs at `speed`."""

    real_start_at: datetime
    start_at: datetime
    speed: float
    real_now: Callable[[], datetime] = SystemClock().now
    real_sleep: Callable[[float], None] = SystemClock().sleep

    def now(self) -> datetime:
        return self.start_at + (self.real_now() - self.real_start_at) * self.speed

    def sleep(self, seconds: float) -> None:
        """Wait simulated seconds: at speed 60 a minute passes in one real second."""
        self.real_sleep(seconds / self.speed)


def instant_of(number: object, *, per_second: int = 1) -> datetime | None:
    """A venue's own clock from its count since 1970; None where that is no time.

    >>> instant_of(1732312740000, per_second=1000), instant_of(10**400), instant_of(True)
    (datetime.datetime(2024, 11, 22, 21, 59, tzinfo=datetime.timezone.utc), None, None)
    """
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    try:
        return datetime.fromtimestamp(number / per_second, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def minute_of(moment: datetime) -> datetime:
    """The minute that a moment lies in.

    >>> minute_of(datetime(2026, 11, 23, 10, 5, 59, tzinfo=UTC)).isoformat()
    '2026-11-23T10:05:00+00:00'
    """
    return moment - timedelta(seconds=moment.second, microseconds=moment.microsecond)
