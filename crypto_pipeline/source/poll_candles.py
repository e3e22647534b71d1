"""The candles of a poll: which are asked for this minute, and which of them have closed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from crypto_pipeline.contract.message import MarketKind
from crypto_pipeline.errors import MarketError, RequestRefusedError, UnexpectedBodyError
from crypto_pipeline.source.clock import Clock
from crypto_pipeline.source.gathered import Gathered
from crypto_pipeline.source.venue import Origin, Venue

THREADS = 8
MINUTE = timedelta(minutes=1)
CLOCK_SLACK = timedelta(seconds=10)
# Real seconds since the poll began; after that no further candle is asked for.
CANDLES_SECONDS = 20.0
CANDLES = "candles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Polling:
    """What stays the same during one poll."""

    venue: Venue
    market: MarketKind
    source: str
    symbols: tuple[str, ...] | None
    poll_at: datetime
    clock: Clock
    started: float = field(default_factory=time.monotonic)

    def origin(self, endpoint: str) -> Origin:
        return Origin(
            market=self.market,
            source=self.source,
            venue=self.venue.name,
            poll_at=self.poll_at,
            observed_at=self.clock.now(),
            endpoint=endpoint,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The symbols whose candles this minute asks for, and from when on."""

    symbols: tuple[str, ...]
    start: datetime

    @classmethod
    def of(
        cls, poll: Polling, asked: Sequence[str], unknown: Sequence[str], requests: int | None
    ) -> Turn:
        """Every listed symbol, or with more than `requests` each in its turn, with all since."""
        if not poll.venue.candle_page:
            return cls(symbols=(), start=poll.poll_at)
        absent = frozenset(unknown)
        listed = [name for name in asked if name not in absent]
        turns = -(-len(listed) // requests) if requests else 1
        turns = max(1, min(turns, poll.venue.candle_page))
        turn = int(poll.poll_at.timestamp() // 60) % turns
        return cls(symbols=tuple(listed[turn::turns]), start=poll.poll_at - MINUTE * turns)


def take_closed_candles(poll: Polling, got: Gathered, turn: Turn) -> None:
    """Of the turn's symbols, with a tick or without; closed by the venue's clock, not ours.

    A row from the future is not believed: it would close a minute that still runs.
    """
    believed = poll.clock.now() + CLOCK_SLACK
    seen_at = [tick.event_at for tick in got.ticks if tick.event_at and tick.event_at <= believed]
    try:
        is_fresh = bool(seen_at) and max(seen_at) >= poll.poll_at
        finished_by = max(seen_at) if is_fresh else poll.venue.server_time()
    except MarketError as error:
        got.notes.append(f"candles not asked for: {error}")
        got.missed += turn.symbols
        return
    wanted = [(name, turn.start, poll.poll_at) for name in turn.symbols]
    take_candles(poll, got, wanted, finished_by=finished_by, is_backfill=False)


def take_candles(
    poll: Polling,
    got: Gathered,
    wanted: Sequence[tuple[str, datetime, datetime]],
    *,
    finished_by: datetime,
    is_backfill: bool,
) -> None:
    def take(request: tuple[str, datetime, datetime]) -> Gathered:
        part, (symbol, start, end) = Gathered(), request
        if not is_backfill and time.monotonic() - poll.started > CANDLES_SECONDS:
            part.notes.append(f"no candles of {symbol}: the minute is too far gone")
            part.missed.append(symbol)
            return part
        try:
            fetched = poll.venue.fetch_candles(symbol, start, end)
        except MarketError as error:
            part.notes.append(f"no candles of {symbol}: {error}")
            if isinstance(error, RequestRefusedError):
                # One symbol that is unknown says nothing about the venue.
                keep_body(poll, part, error, CANDLES)
            else:
                note_failure(poll, part, error, CANDLES)
                part.missed.append(symbol)
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
        if is_backfill:
            _note_broken(part, symbol)
        else:
            _note_unheard(part, symbol, end=end, finished_by=finished_by)
        return part

    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(take, wanted))
    for part in parts:
        got.candles += part.candles
        got.rejected += part.rejected
        got.notes += part.notes
        got.missed += part.missed
        got.endpoint = got.endpoint or part.endpoint
        got.add_budget(part.budget_used)
    failures = [failure for part in parts for failure in part.failures]
    if is_backfill and parts and len(failures) == len(parts):
        got.failures += failures


def _note_broken(part: Gathered, symbol: str) -> None:
    """What a cut body did not get to is still to be had; a row that was refused is not."""
    if part.is_broken:
        part.notes.append(f"not all candles of {symbol}: a body is no whole JSON")
        part.missed.append(symbol)


def _note_unheard(part: Gathered, symbol: str, *, end: datetime, finished_by: datetime) -> None:
    """A minute that is not among the candles had no trade only when the answer can say so.

    It cannot where a row of it was refused, nor before the venue's clock has passed the minute:
    the clock may be an old answer's.
    """
    if any(candle.open_at >= end - MINUTE for candle in part.candles):
        return
    if part.rejected:
        part.notes.append(f"no candles of {symbol}: what was served of them is refused")
    elif finished_by < end:
        part.notes.append(f"no candles of {symbol}: the venue's clock says {finished_by:%H:%M:%S}")
    else:
        return
    part.missed.append(symbol)


def note_failure(poll: Polling, got: Gathered, error: MarketError, endpoint: str) -> None:
    got.failures.append(error)
    keep_body(poll, got, error, endpoint)


def keep_body(poll: Polling, got: Gathered, error: MarketError, endpoint: str) -> None:
    if isinstance(error, UnexpectedBodyError):
        origin = poll.origin(got.endpoint or endpoint)
        got.rejected.append(origin.reject("wrong_content", str(error), error.body))
