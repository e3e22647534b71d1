"""One poll of one venue: a minute's snapshot and closed candles, or a stretch of history.

A venue that fails is a fact too: the poll record carries the class of the failure and its
sentence, and nothing is raised. The books of a record count every row that was read:
served = published + unchanged + rejected, with the rejected rows of candle bodies in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.message import MarketKind
from crypto_pipeline.contract.poll import PollRecord, Rejected
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.errors import MarketError, UnexpectedBodyError
from crypto_pipeline.source.clock import Clock
from crypto_pipeline.source.gathered import Gathered, outcome_of
from crypto_pipeline.source.venue import Fetched, Origin, Venue

THREADS = 8
MINUTE = timedelta(minutes=1)
SNAPSHOT, CANDLES = "snapshot", "candles"


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """What a poll yields. `marks` are the marks to give to the next poll, by symbol."""

    ticks: tuple[Tick, ...]
    candles: tuple[Candle, ...]
    rejected: tuple[Rejected, ...]
    poll: PollRecord
    marks: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Poll:
    """What stays the same during one poll."""

    venue: Venue
    market: MarketKind
    source: str
    symbols: tuple[str, ...]
    poll_at: datetime
    clock: Clock

    def origin(self, endpoint: str) -> Origin:
        return Origin(
            market=self.market,
            source=self.source,
            venue=self.venue.name,
            poll_at=self.poll_at,
            observed_at=self.clock.now(),
            endpoint=endpoint,
        )


def poll_minute(
    venue: Venue,
    *,
    market: MarketKind,
    source: str,
    symbols: Sequence[str],
    poll_at: datetime,
    clock: Clock,
    marks: Mapping[str, str],
) -> PollResult:
    """Take the snapshot and the candle that opened a minute before `poll_at`, a whole minute.

    A tick whose mark equals the one in `marks` is unchanged. When the snapshot request
    fails no candles are asked for; a failed candle costs only itself.
    """
    poll = _Poll(
        venue=venue,
        market=market,
        source=source,
        symbols=tuple(symbols),
        poll_at=poll_at,
        clock=clock,
    )
    started_at, got = clock.now(), Gathered()
    unknown = _take_snapshot(poll, got, marks)
    if not got.failures:
        _take_closed_candles(poll, got, unknown)
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
) -> PollResult:
    """Closed candles that open in [start, end), marked as backfill; page by page, 8 at a time.

    The poll record's `poll_at` is `start`. Memory grows with the range: about 1 KB a candle.
    """
    poll = _Poll(
        venue=venue,
        market=market,
        source=source,
        symbols=tuple(symbols),
        poll_at=start,
        clock=clock,
    )
    started_at, got = clock.now(), Gathered()
    page = MINUTE * venue.candle_page
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
        _take_candles(poll, got, wanted, finished_by=finished_by, is_backfill=True)
    return _result(poll, got, purpose="history", started_at=started_at, marks={})


def _take_snapshot(poll: _Poll, got: Gathered, marks: Mapping[str, str]) -> tuple[str, ...]:
    """Gather the ticks; return the symbols that the venue does not list."""
    got.endpoint = SNAPSHOT
    try:
        snapshot = poll.venue.fetch_snapshot(poll.symbols)
    except MarketError as error:
        _note_failure(poll, got, error, SNAPSHOT)
        return ()
    for part in snapshot.parts:
        _take_part(poll, got, part, marks)
    for failure in snapshot.failures:
        _keep_body(poll, got, failure, SNAPSHOT)
        got.notes.append(str(failure))
    served = {tick.symbol for tick in got.ticks}
    unknown = snapshot.unknown
    missing = [name for name in poll.symbols if name not in served and name not in unknown]
    if unknown:
        got.notes.append(f"unknown to the venue: {', '.join(unknown)}")
    if missing:
        got.notes.append(f"not served: {', '.join(missing)}")
    return unknown


def _take_part(poll: _Poll, got: Gathered, part: Fetched, marks: Mapping[str, str]) -> None:
    got.endpoint = part.endpoint
    got.add_budget(part.budget_used)
    origin = poll.origin(part.endpoint)
    ticks, rejected = poll.venue.parse_snapshot(part.body, origin=origin, symbols=part.symbols)
    got.rejected += rejected
    got.ticks += [
        replace(tick, is_unchanged=tick.mark is not None and marks.get(tick.symbol) == tick.mark)
        for tick in ticks
    ]


def _take_closed_candles(poll: _Poll, got: Gathered, unknown: Sequence[str]) -> None:
    """Of every listed symbol, with a tick or without; closed by the venue's clock, not ours."""
    seen_at = [tick.event_at for tick in got.ticks if tick.event_at is not None]
    try:
        is_fresh = bool(seen_at) and max(seen_at) >= poll.poll_at
        finished_by = max(seen_at) if is_fresh else poll.venue.server_time()
    except MarketError as error:
        got.notes.append(f"candles not asked for: {error}")
        return
    start = poll.poll_at - MINUTE
    wanted = [(name, start, poll.poll_at) for name in poll.symbols if name not in unknown]
    _take_candles(poll, got, wanted, finished_by=finished_by, is_backfill=False)


def _take_candles(
    poll: _Poll,
    got: Gathered,
    wanted: Sequence[tuple[str, datetime, datetime]],
    *,
    finished_by: datetime,
    is_backfill: bool,
) -> None:
    def take(request: tuple[str, datetime, datetime]) -> Gathered:
        part, (symbol, start, end) = Gathered(), request
        try:
            fetched = poll.venue.fetch_candles(symbol, start, end)
        except MarketError as error:
            _note_failure(poll, part, error, CANDLES)
            part.notes.append(f"no candles of {symbol}: {error}")
            return part
        part.endpoint = fetched.endpoint
        part.add_budget(fetched.budget_used)
        candles, part.rejected = poll.venue.parse_candles(
            fetched.body,
            origin=poll.origin(fetched.endpoint),
            symbol=symbol,
            finished_by=finished_by,
            is_backfill=is_backfill,
        )
        part.candles = [candle for candle in candles if start <= candle.open_at < end]
        return part

    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(take, wanted))
    for part in parts:
        got.candles += part.candles
        got.rejected += part.rejected
        got.notes += part.notes
        got.endpoint = got.endpoint or part.endpoint
        got.add_budget(part.budget_used)
    failures = [failure for part in parts for failure in part.failures]
    if is_backfill and len(failures) == len(parts):
        got.failures += failures


def _note_failure(poll: _Poll, got: Gathered, error: MarketError, endpoint: str) -> None:
    got.failures.append(error)
    _keep_body(poll, got, error, endpoint)


def _keep_body(poll: _Poll, got: Gathered, error: MarketError, endpoint: str) -> None:
    if isinstance(error, UnexpectedBodyError):
        origin = poll.origin(got.endpoint or endpoint)
        got.rejected.append(origin.reject("wrong_content", str(error), error.body))


def _result(
    poll: _Poll,
    got: Gathered,
    *,
    purpose: Literal["minute", "history"],
    started_at: datetime,
    marks: Mapping[str, str],
) -> PollResult:
    unchanged = sum(tick.is_unchanged for tick in got.ticks)
    outcome, reason = outcome_of(got)
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
        symbols_asked=poll.symbols,
        served=len(got.ticks) + len(got.rejected),
        published=len(got.ticks) - unchanged,
        unchanged=unchanged,
        rejected=len(got.rejected),
        candles=len(got.candles),
        budget_used=got.budget_used,
    )
    seen = {tick.symbol: tick.mark for tick in got.ticks if tick.mark is not None}
    return PollResult(
        ticks=tuple(got.ticks),
        candles=tuple(got.candles),
        rejected=tuple(got.rejected),
        poll=record,
        marks={**marks, **seen},
    )
