"""One minute of ingestion: poll, spool, publish, remember; and a source's first history.

The poll comes before older polls are sent, so a backlog never makes it late; the spool keeps
the order. A kill between any two steps repeats messages under the same ids at the next run,
it loses none that the venue had answered and the disk had taken.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from crypto_pipeline.contract.poll import Outcome
from crypto_pipeline.errors import BrokerAwayError, DeliveryError, SpoolFullError
from crypto_pipeline.observed.ledger import Tally
from crypto_pipeline.settings import Settings
from crypto_pipeline.source.clock import Clock, SystemClock, minute_of
from crypto_pipeline.source.coingecko import reference_symbols
from crypto_pipeline.source.failover import Feed, Minute, first_open, poll_in_turn
from crypto_pipeline.source.poll import PollResult, fetch_history
from crypto_pipeline.source.venue import Venue, oldest_candle
from crypto_pipeline.source.venues import feeds_for, market_kind
from crypto_pipeline.stream.counted import count_poll
from crypto_pipeline.stream.deliver import Delivery, deliver
from crypto_pipeline.stream.marks import MarkFile
from crypto_pipeline.stream.publish import MessagePublisher, Offsets
from crypto_pipeline.stream.spool import Spool
from crypto_pipeline.stream.store import DEADLINE_SECONDS, PATIENCE_SECONDS, store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """What one run did. A skipped run found its minute already polled and only emptied the spool.

    `delivered` counts polls sent, older ones included; `spooled` those that still wait.
    """

    poll_at: datetime
    is_skipped: bool
    outcome: Outcome | None
    reason: str | None
    venue: str | None = None
    ticks: int
    unchanged: int
    candles: int
    history_candles: int
    rejected: int
    delivered: int
    spooled: int
    torn: tuple[str, ...]
    offsets: Offsets
    seconds: float


def ingest(
    settings: Settings,
    *,
    venue: Venue,
    others: Sequence[Venue] = (),
    reference: Venue | None = None,
    clock: Clock,
    publisher: MessagePublisher,
    spool: Spool,
    tally: Tally | None = None,
) -> IngestReport:
    """Fetch history if the source has none yet, then the minute, whatever became of history.

    `others` are asked in their order when `venue` gives nothing; history is of the one that
    the minute will ask first. `reference` rides along in the minutes of its own interval.
    What is counted goes into `tally`, which is saved after each step that lasts.
    """
    started, history = time.monotonic(), 0
    open_feed = first_open(feeds_for(settings, (venue, *others)))
    try:
        if open_feed is not None:
            history = ensure_history(
                settings,
                venue=open_feed.venue,
                clock=clock,
                publisher=publisher,
                spool=spool,
                tally=tally,
            )
    except (BrokerAwayError, DeliveryError) as error:
        # The minute goes through the same spool and raises the same again if this goes on.
        log.warning("History waits in the spool: %s", error)
    except SpoolFullError as error:
        # A minute is a thousandth of it and may well fit.
        log.warning("History is fetched again at the next poll: %s", error)
    report = ingest_minute(
        settings,
        venue=venue,
        others=others,
        reference=reference,
        clock=clock,
        publisher=publisher,
        spool=spool,
        tally=tally,
    )
    return replace(report, history_candles=history, seconds=time.monotonic() - started)


def ingest_minute(
    settings: Settings,
    *,
    venue: Venue,
    others: Sequence[Venue] = (),
    reference: Venue | None = None,
    clock: Clock,
    publisher: MessagePublisher,
    spool: Spool,
    tally: Tally | None = None,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> IngestReport:
    """Poll the current minute once and publish it; BrokerAwayError when it had to stay behind."""
    started, tally = time.monotonic(), tally or Tally()
    poll_at = minute_of(clock.now())
    feeds = feeds_for(settings, (venue, *others))
    result = None
    if not _is_polled(feeds, spool, poll_at):
        early = settings.poll_delay_seconds - (clock.now() - poll_at).total_seconds()
        if early > 0:
            clock.sleep(early)
        result = _poll(settings, feeds, reference, clock, poll_at, spool)
        count_poll(tally, result, first=venue.name)
        store(spool, result, publisher, poll_at=poll_at, purpose="minute", tally=tally)
        # The poll is durable, so the next one compares with it, published already or not.
        for part in (*result.earlier, result):
            if part.ticks:
                MarkFile(spool.folder, part.poll.source).store_marks(part.marks)
    delivery = deliver(
        spool,
        publisher,
        deadline_seconds=deadline_seconds,
        patience_seconds=PATIENCE_SECONDS,
        tally=tally,
    )
    return _report(poll_at, result, delivery, time.monotonic() - started)


def ensure_history(
    settings: Settings,
    *,
    venue: Venue,
    clock: Clock,
    publisher: MessagePublisher,
    spool: Spool,
    tally: Tally | None = None,
    deadline_seconds: float = 60.0,
) -> int:
    """Publish the hours before now once a symbol; gives the number of candles fetched now.

    A fetch that a killed run left in the spool is sent instead of being fetched again. A whole
    venue has no history: it would take hours of budget.
    """
    tally = tally or Tally()
    (feed,) = feeds_for(settings, (venue,))
    memory = MarkFile(spool.folder, feed.source)
    send = partial(
        deliver,
        spool,
        publisher,
        deadline_seconds=deadline_seconds,
        patience_seconds=deadline_seconds,
        tally=tally,
    )
    if settings.history_hours == 0 or settings.is_whole_venue:
        return 0
    wanted = set(settings.symbols)
    if wanted <= memory.with_history():
        return 0
    if any(entry.purpose == "history" for entry in spool.pending()):
        send()
    new = wanted - memory.with_history()
    if not new:
        return 0
    end = minute_of(clock.now())
    start = end - timedelta(hours=settings.history_hours)
    result = fetch_history(
        venue,
        market=market_kind(settings),
        source=feed.source,
        symbols=tuple(symbol for symbol in settings.symbols if symbol in new),
        start=max(start, oldest_candle(venue, now=end) or start),
        end=end,
        clock=clock,
    )
    feed.breaker.note(result.poll.outcome, reason=result.poll.reason, now=SystemClock().now())
    count_poll(tally, result)
    store(spool, result, publisher, poll_at=end, purpose="history", tally=tally)
    send()
    return len(result.candles)


def _is_polled(feeds: Sequence[Feed], spool: Spool, poll_at: datetime) -> bool:
    """Polling a minute twice would give its ids other contents, which silver sets aside.

    Half a poll, left by a kill while it was written, does not count: the whole is still to be had.
    """
    sources = [MarkFile(spool.folder, feed.source) for feed in feeds]
    if any(file.read().last_poll_at == poll_at.astimezone(UTC) for file in sources):
        return True
    return any(
        entry.poll_at == poll_at and entry.purpose == "minute" and spool.is_whole(entry)
        for entry in spool.pending()
    )


def _poll(
    settings: Settings,
    feeds: Sequence[Feed],
    reference: Venue | None,
    clock: Clock,
    poll_at: datetime,
    spool: Spool,
) -> PollResult:
    """The minute of the first venue that gives it, and the reference prices when they are due."""

    def marks_of(source: str) -> Mapping[str, str]:
        return MarkFile(spool.folder, source).read().marks

    minute = Minute(
        market=market_kind(settings), symbols=settings.symbols or None, poll_at=poll_at, clock=clock
    )
    result = poll_in_turn(feeds, minute, marks_of=marks_of)
    if reference is None or _minute_number(poll_at) % settings.coingecko_minutes:
        return result
    coins = replace(minute, symbols=reference_symbols(settings.symbols))
    beside = poll_in_turn(feeds_for(settings, (reference,)), coins, marks_of=marks_of)
    return replace(result, earlier=(*result.earlier, beside))


def _minute_number(moment: datetime) -> int:
    return int(moment.timestamp() // 60)


def _report(
    poll_at: datetime, result: PollResult | None, delivery: Delivery, seconds: float
) -> IngestReport:
    return IngestReport(
        poll_at=poll_at,
        is_skipped=result is None,
        outcome=result.poll.outcome if result else None,
        reason=result.poll.reason if result else "this minute was polled before",
        venue=result.poll.venue if result else None,
        ticks=len(result.ticks) if result else 0,
        unchanged=result.poll.unchanged if result else 0,
        candles=len(result.candles) if result else 0,
        history_candles=0,
        rejected=len(result.rejected) if result else 0,
        delivered=delivery.polls,
        spooled=delivery.left,
        torn=delivery.torn,
        offsets=delivery.offsets,
        seconds=seconds,
    )
