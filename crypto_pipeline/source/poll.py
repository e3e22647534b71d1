"""One poll of one venue: a minute's snapshot and closed candles, or a stretch of history.

A venue that fails is a fact too: the poll record carries the class of the failure and its
sentence, and nothing is raised. The books of a record count every row that was read:
served = published + unchanged + rejected, with the rejected rows of candle bodies in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.message import MarketKind
from crypto_pipeline.contract.poll import PollRecord, Purpose, Rejected
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.errors import MarketError
from crypto_pipeline.source.clock import Clock
from crypto_pipeline.source.gathered import Gathered, newest_event_at, numbered, outcome_of
from crypto_pipeline.source.poll_candles import (
    CANDLES,
    Polling,
    Turn,
    keep_body,
    note_failure,
    take_candles,
    take_closed_candles,
)
from crypto_pipeline.source.venue import Fetched, Venue

MINUTE = timedelta(minutes=1)
STALE_AFTER = timedelta(minutes=3)
SNAPSHOT = "snapshot"


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """What a poll yields. `marks` are the marks to give to the next poll, by symbol.

    `earlier` are the polls of other venues in the same minute, tried before this one.
    """

    ticks: tuple[Tick, ...]
    candles: tuple[Candle, ...]
    rejected: tuple[Rejected, ...]
    poll: PollRecord
    marks: Mapping[str, str]
    earlier: tuple[PollResult, ...] = ()


def poll_minute(
    venue: Venue,
    *,
    market: MarketKind,
    source: str,
    symbols: Sequence[str] | None,
    poll_at: datetime,
    clock: Clock,
    marks: Mapping[str, str],
    candle_requests: int | None = None,
    stale_after: timedelta = STALE_AFTER,
) -> PollResult:
    """Take the snapshot and the candle that opened a minute before `poll_at`, a whole minute.

    A tick whose mark equals the one in `marks` is unchanged. When the snapshot request
    fails no candles are asked for; a failed candle costs only itself. With more symbols than
    `candle_requests` they take turns, and each turn fetches all minutes since the last one.
    `symbols` None polls all that the venue trades.
    """
    poll = Polling(
        venue=venue,
        market=market,
        source=source,
        symbols=None if symbols is None else tuple(symbols),
        poll_at=poll_at,
        clock=clock,
    )
    started_at, got = clock.now(), Gathered()
    unknown = _take_snapshot(poll, got, marks)
    _note_staleness(poll, got, stale_after)
    turn = Turn.of(poll, got.asked, unknown, candle_requests)
    got.due = turn.symbols
    if not got.failures and got.due:
        take_closed_candles(poll, got, turn)
    return _result(poll, got, purpose="minute", started_at=started_at, marks=marks)


def fetch_history(
    venue: Venue,
    *,
    market: MarketKind,
    source: str,
    symbols: Sequence[str],
    start: datetime,
    end: datetime,
    clock: Clock,
    purpose: Purpose = "history",
) -> PollResult:
    """Closed candles that open in [start, end), marked as backfill; page by page, 8 at a time.

    The poll record's `poll_at` is `start`, its `until_at` the end. Memory grows with the
    range: about 1 KB a candle.
    """
    poll = Polling(
        venue=venue,
        market=market,
        source=source,
        symbols=tuple(symbols),
        poll_at=start,
        clock=clock,
    )
    started_at, got = clock.now(), Gathered(asked=tuple(symbols))
    page = MINUTE * max(1, venue.candle_page)
    pages = -(-(end - start) // page)
    wanted = [
        (symbol, start + page * number, min(end, start + page * (number + 1)))
        for symbol in symbols
        for number in range(pages)
    ]
    try:
        finished_by = venue.server_time()
    except MarketError as error:
        got.failures.append(error)
    else:
        take_candles(poll, got, wanted, finished_by=finished_by, is_backfill=True)
    result = _result(poll, got, purpose=purpose, started_at=started_at, marks={})
    return replace(result, poll=replace(result.poll, until_at=end))


def _take_snapshot(poll: Polling, got: Gathered, marks: Mapping[str, str]) -> tuple[str, ...]:
    """Gather the ticks; return the symbols that the venue does not list."""
    got.endpoint, got.asked = SNAPSHOT, poll.symbols or ()
    try:
        snapshot = poll.venue.fetch_snapshot(poll.symbols)
    except MarketError as error:
        note_failure(poll, got, error, SNAPSHOT)
        return ()
    if poll.symbols is None:
        got.asked = tuple(name for part in snapshot.parts for name in part.symbols)
    for part in snapshot.parts:
        _take_part(poll, got, part, marks)
    for failure in snapshot.failures:
        keep_body(poll, got, failure, SNAPSHOT)
        got.notes.append(str(failure))
    served = {tick.symbol for tick in got.ticks}
    unknown = snapshot.unknown
    missing = [name for name in got.asked if name not in served and name not in unknown]
    if unknown:
        got.notes.append(f"unknown to the venue: {', '.join(unknown)}")
    if missing:
        got.notes.append(f"not served: {', '.join(missing)}")
    return unknown


def _take_part(poll: Polling, got: Gathered, part: Fetched, marks: Mapping[str, str]) -> None:
    got.endpoint = part.endpoint
    got.add_budget(part.budget_used)
    origin = poll.origin(part.endpoint)
    ticks, rejected = poll.venue.parse_snapshot(part.body, origin=origin, symbols=part.symbols)
    got.rejected += rejected
    got.ticks += [
        msgspec.structs.replace(tick, is_unchanged=True)
        if tick.mark is not None and marks.get(tick.symbol) == tick.mark
        else tick
        for tick in ticks
    ]


def _note_staleness(poll: Polling, got: Gathered, stale_after: timedelta) -> None:
    newest = newest_event_at(got)
    if newest is not None and poll.clock.now() - newest > stale_after:
        age = (poll.clock.now() - newest).total_seconds()
        got.notes.append(f"stale: the venue's newest row is {age:.0f} s old")


def _result(
    poll: Polling,
    got: Gathered,
    *,
    purpose: Purpose,
    started_at: datetime,
    marks: Mapping[str, str],
) -> PollResult:
    rejected = numbered(got.rejected)
    unchanged = sum(tick.is_unchanged for tick in got.ticks)
    outcome, reason = outcome_of(got, is_history=purpose != "minute")
    record = PollRecord(
        market=poll.market,
        source=poll.source,
        venue=poll.venue.name,
        poll_at=poll.poll_at,
        started_at=started_at,
        ended_at=poll.clock.now(),
        endpoint=got.endpoint or CANDLES,
        purpose=purpose,
        outcome=outcome,
        reason=reason,
        symbols_asked=got.asked,
        served=len(got.ticks) + len(rejected),
        published=len(got.ticks) - unchanged,
        unchanged=unchanged,
        rejected=len(rejected),
        candles=len(got.candles),
        budget_used=got.budget_used,
        newest_event_at=newest_event_at(got),
        candles_due=got.due,
        candles_missed=tuple(dict.fromkeys(got.missed)),
    )
    seen = {tick.symbol: tick.mark for tick in got.ticks if tick.mark is not None}
    return PollResult(
        ticks=tuple(got.ticks),
        candles=tuple(got.candles),
        rejected=rejected,
        poll=record,
        marks={**marks, **seen},
    )
