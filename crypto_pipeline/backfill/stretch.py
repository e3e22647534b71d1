"""A stretch of past minutes: fetched, published, and followed by its own poll record.

It goes past the spool: what a kill loses here the venue still has, and the next try asks again.
The ids are those of the minute's own candles, so what was there before is a duplicate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from crypto_pipeline.contract.message import MarketKind
from crypto_pipeline.contract.poll import Purpose
from crypto_pipeline.errors import PermanentMarketError, TransientMarketError
from crypto_pipeline.source.clock import Clock, SystemClock
from crypto_pipeline.source.failover import Feed
from crypto_pipeline.source.poll import fetch_history
from crypto_pipeline.stream.publish import MessagePublisher
from crypto_pipeline.stream.store import outgoing

MINUTE = timedelta(minutes=1)
# Seconds before what got no answer is asked for again.
PAUSES = (1.0, 5.0)
DEADLINE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The minutes of some symbols that open in [start, end), UTC."""

    symbols: tuple[str, ...]
    start: datetime
    end: datetime

    @property
    def minutes(self) -> int:
        return len(self.symbols) * int((self.end - self.start) / MINUTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a stretch gave; `missed` are the symbols that got no answer to the end."""

    candles: int = 0
    rejected: int = 0
    missed: tuple[str, ...] = ()
    reason: str | None = None

    def __add__(self, other: Taken) -> Taken:
        return Taken(
            candles=self.candles + other.candles,
            rejected=self.rejected + other.rejected,
            missed=other.missed,
            reason=other.reason or self.reason,
        )


@dataclass(frozen=True, kw_only=True)
class StretchFetch:
    """Takes stretches of one source; all that it publishes is acknowledged when it returns."""

    feed: Feed
    market: MarketKind
    clock: Clock
    publisher: MessagePublisher
    purpose: Purpose
    pauses: Sequence[float] = PAUSES
    sleep: Callable[[float], None] = time.sleep

    def take(self, stretch: Stretch) -> Taken:
        """Raises the MarketError when the venue refuses for good, or is left alone for now."""
        taken, left = Taken(), stretch.symbols
        for pause in (*self.pauses, None):
            part = self._try(Stretch(symbols=left, start=stretch.start, end=stretch.end))
            taken, left = taken + part, part.missed
            if not left or pause is None:
                break
            self.sleep(pause)
        return taken

    def _try(self, stretch: Stretch) -> Taken:
        now = SystemClock().now()
        why_not = self.feed.breaker.why_not(now)
        if why_not is not None:
            raise TransientMarketError(f"{why_not}. Try again later: what was fetched is kept.")
        result = fetch_history(
            self.feed.venue,
            market=self.market,
            source=self.feed.source,
            symbols=stretch.symbols,
            start=stretch.start,
            end=stretch.end,
            clock=self.clock,
            purpose=self.purpose,
        )
        poll = result.poll
        messages, record = outgoing(result)
        self.publisher.publish(messages, deadline_seconds=DEADLINE_SECONDS)
        self.publisher.publish([record], deadline_seconds=DEADLINE_SECONDS)
        self.feed.breaker.note(poll.outcome, reason=poll.reason, now=now)
        if poll.outcome == "permanent":
            raise PermanentMarketError(f"{self.feed.venue.name} gives no candles: {poll.reason}")
        is_answered = poll.outcome in ("ok", "partial")
        return Taken(
            candles=len(result.candles),
            rejected=len(result.rejected),
            missed=poll.candles_missed if is_answered else stretch.symbols,
            reason=poll.reason,
        )
