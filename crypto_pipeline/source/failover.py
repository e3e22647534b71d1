"""The minute's poll with venues in a row: the first that gives ticks has the minute.

Every venue keeps a source of its own, so two venues never meet under one key. Each attempt
leaves its own poll record; that of a later venue says why it was asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from crypto_pipeline.contract.message import MarketKind
from crypto_pipeline.contract.poll import PollRecord
from crypto_pipeline.source.breaker import Breaker
from crypto_pipeline.source.clock import Clock, SystemClock
from crypto_pipeline.source.poll import PollResult, poll_minute
from crypto_pipeline.source.venue import Venue

# Real seconds since the first venue was asked; a venue asked later would run into the next poll.
LAST_START_SECONDS = 30.0
REASON_SHOWN = 300
NOT_ASKED = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A venue with the source of its facts, its breaker, and its candle requests a minute."""

    venue: Venue
    source: str
    breaker: Breaker
    candle_requests: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """What is the same for every venue; `symbols` None is all that a venue trades."""

    market: MarketKind
    symbols: Sequence[str] | None
    poll_at: datetime
    clock: Clock


def poll_in_turn(
    feeds: Sequence[Feed],
    minute: Minute,
    *,
    marks_of: Callable[[str], Mapping[str, str]],
    real: Clock | None = None,
) -> PollResult:
    """Poll the feeds in order until one gives ticks; the rest of the attempts are `earlier`.

    When none does, the last attempt is the result; when none may even be asked, a record says so.
    """
    clock, started = real or SystemClock(), time.monotonic()
    failed: list[PollResult] = []
    reasons: list[str] = []
    for feed in feeds:
        refusal = feed.breaker.why_not(clock.now())
        if refusal is not None:
            reasons.append(refusal)
            continue
        if failed and time.monotonic() - started > LAST_START_SECONDS:
            reasons.append(f"{feed.venue.name} was not asked: the minute is too far gone")
            continue
        result = _attempt(feed, minute, marks_of(feed.source), reasons)
        poll = result.poll
        feed.breaker.note(poll.outcome, reason=poll.reason, now=clock.now())
        if result.ticks:
            return replace(result, earlier=tuple(failed))
        failed.append(result)
        reasons.append(f"{feed.venue.name} {poll.outcome}: {(poll.reason or '')[:REASON_SHOWN]}")
    if not failed:
        return _nobody(feeds[0], minute, reasons)
    return replace(failed[-1], earlier=tuple(failed[:-1]))


def first_open(feeds: Sequence[Feed], *, real: Clock | None = None) -> Feed | None:
    """The feed that the next poll will ask first."""
    now = (real or SystemClock()).now()
    return next((feed for feed in feeds if feed.breaker.why_not(now) is None), None)


def _attempt(
    feed: Feed, minute: Minute, marks: Mapping[str, str], reasons: Sequence[str]
) -> PollResult:
    result = poll_minute(
        feed.venue,
        market=minute.market,
        source=feed.source,
        symbols=minute.symbols,
        poll_at=minute.poll_at,
        clock=minute.clock,
        marks=marks,
        candle_requests=feed.candle_requests,
    )
    why = "; ".join(reasons) or None
    return replace(result, poll=replace(result.poll, venue_reason=why))


def _nobody(feed: Feed, minute: Minute, reasons: Sequence[str]) -> PollResult:
    now = minute.clock.now()
    record = PollRecord(
        market=minute.market,
        source=feed.source,
        venue=feed.venue.name,
        poll_at=minute.poll_at,
        started_at=now,
        ended_at=now,
        endpoint=NOT_ASKED,
        purpose="minute",
        outcome="transient",
        reason="no venue was asked: " + "; ".join(reasons),
        symbols_asked=tuple(minute.symbols or ()),
        # Nobody asked for them, and they are owed all the same: the ledger has to know.
        candles_due=tuple(minute.symbols or ()) if feed.venue.candle_page else (),
        served=0,
        published=0,
        unchanged=0,
        rejected=0,
        candles=0,
        budget_used=None,
    )
    return PollResult(ticks=(), candles=(), rejected=(), poll=record, marks={})
