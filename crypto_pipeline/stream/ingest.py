"""One minute of ingestion: poll, spool, publish, remember; and a source's first history.

The poll comes before older polls are sent, so a backlog never makes it late; the spool keeps
the order. A kill between any two steps repeats messages under the same ids at the next run,
it loses none that the venue had answered and the disk had taken.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal

from crypto_pipeline.contract.message import MARKET_KINDS, MarketKind
from crypto_pipeline.contract.poll import Outcome
from crypto_pipeline.contract.topic import CANDLES, POLLS, REJECTED, TICKS
from crypto_pipeline.errors import BrokerAwayError, DeliveryError, SettingsError, SpoolFullError
from crypto_pipeline.settings import Settings
from crypto_pipeline.source.clock import Clock, minute_of
from crypto_pipeline.source.poll import PollResult, fetch_history, poll_minute
from crypto_pipeline.source.venue import Venue
from crypto_pipeline.stream.deliver import Delivery, deliver
from crypto_pipeline.stream.marks import MarkFile
from crypto_pipeline.stream.publish import MessagePublisher, Offsets, Outgoing
from crypto_pipeline.stream.spool import Spool

log = logging.getLogger(__name__)

DEADLINE_SECONDS = 20.0
# A backlog that needs longer is finished by the runs that follow.
PATIENCE_SECONDS = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """What one run did. A skipped run found its minute already polled and only emptied the spool.

    `delivered` counts polls sent, older ones included; `spooled` those that still wait.
    """

    poll_at: datetime
    is_skipped: bool
    outcome: Outcome | None
    reason: str | None
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
    settings: Settings, *, venue: Venue, clock: Clock, publisher: MessagePublisher, spool: Spool
) -> IngestReport:
    """Fetch history if the source has none yet, then the minute, whatever became of history."""
    started, history = time.monotonic(), 0
    try:
        history = ensure_history(
            settings, venue=venue, clock=clock, publisher=publisher, spool=spool
        )
    except (BrokerAwayError, DeliveryError) as error:
        # The minute goes through the same spool and raises the same again if this goes on.
        log.warning("History waits in the spool: %s", error)
    report = ingest_minute(settings, venue=venue, clock=clock, publisher=publisher, spool=spool)
    return replace(report, history_candles=history, seconds=time.monotonic() - started)


def ingest_minute(
    settings: Settings,
    *,
    venue: Venue,
    clock: Clock,
    publisher: MessagePublisher,
    spool: Spool,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> IngestReport:
    """Poll the current minute once and publish it; BrokerAwayError when it had to stay behind."""
    started = time.monotonic()
    poll_at = minute_of(clock.now())
    result = None
    if not _is_polled(settings, spool, poll_at):
        early = settings.poll_delay_seconds - (clock.now() - poll_at).total_seconds()
        if early > 0:
            clock.sleep(early)
        result = _poll(settings, venue, clock, poll_at, spool)
        _store(spool, result, publisher, poll_at=poll_at, purpose="minute")
        # The poll is durable, so the next one compares with it, published already or not.
        MarkFile(spool.folder, settings.source).store_marks(result.marks)
    delivery = deliver(
        spool,
        publisher,
        deadline_seconds=deadline_seconds,
        patience_seconds=PATIENCE_SECONDS,
    )
    return _report(poll_at, result, delivery, time.monotonic() - started)


def ensure_history(
    settings: Settings,
    *,
    venue: Venue,
    clock: Clock,
    publisher: MessagePublisher,
    spool: Spool,
    deadline_seconds: float = 60.0,
) -> int:
    """Publish the hours before now once a source; gives the number of candles fetched now.

    A fetch that a killed run left in the spool is sent instead of being fetched again.
    """
    memory = MarkFile(spool.folder, settings.source)
    send = partial(
        deliver,
        spool,
        publisher,
        deadline_seconds=deadline_seconds,
        patience_seconds=deadline_seconds,
    )
    if settings.history_hours == 0 or memory.has_history():
        return 0
    if any(entry.purpose == "history" for entry in spool.pending()):
        send()
        if memory.has_history():
            return 0
    end = minute_of(clock.now())
    result = fetch_history(
        venue,
        market=_market(settings),
        source=settings.source,
        symbols=settings.symbols,
        start=end - timedelta(hours=settings.history_hours),
        end=end,
        clock=clock,
    )
    _store(spool, result, publisher, poll_at=end, purpose="history")
    send()
    return len(result.candles)


def outgoing(result: PollResult) -> tuple[list[Outgoing], Outgoing]:
    """A poll's messages in the order to send them, and its own record that comes after all."""
    groups = ((TICKS, result.ticks), (CANDLES, result.candles), (REJECTED, result.rejected))
    messages = [
        Outgoing(topic=topic.name, key=fact.key, value=fact.encode())
        for topic, facts in groups
        for fact in facts
    ]
    poll = result.poll
    return messages, Outgoing(topic=POLLS.name, key=poll.key, value=poll.encode())


def _is_polled(settings: Settings, spool: Spool, poll_at: datetime) -> bool:
    """Polling a minute twice would give its ids other contents, which silver sets aside.

    Half a poll, left by a kill while it was written, does not count: the whole is still to be had.
    """
    if MarkFile(spool.folder, settings.source).read().last_poll_at == poll_at.astimezone(UTC):
        return True
    return any(
        entry.poll_at == poll_at and entry.purpose == "minute" and spool.is_whole(entry)
        for entry in spool.pending()
    )


def _poll(
    settings: Settings, venue: Venue, clock: Clock, poll_at: datetime, spool: Spool
) -> PollResult:
    return poll_minute(
        venue,
        market=_market(settings),
        source=settings.source,
        symbols=settings.symbols,
        poll_at=poll_at,
        clock=clock,
        marks=MarkFile(spool.folder, settings.source).read().marks,
    )


def _store(
    spool: Spool,
    result: PollResult,
    publisher: MessagePublisher,
    *,
    poll_at: datetime,
    purpose: Literal["minute", "history"],
) -> None:
    """Append to the spool; when it is full, make room by sending what waits, then once more."""
    messages, final = outgoing(result)
    try:
        spool.append(messages, final, poll_at=poll_at, purpose=purpose)
    except SpoolFullError as full:
        try:
            deliver(
                spool,
                publisher,
                deadline_seconds=DEADLINE_SECONDS,
                patience_seconds=PATIENCE_SECONDS,
            )
        except (BrokerAwayError, DeliveryError) as error:
            raise full from error
        spool.append(messages, final, poll_at=poll_at, purpose=purpose)


def _market(settings: Settings) -> MarketKind:
    for kind in MARKET_KINDS:
        if settings.market == kind:
            return kind
    raise SettingsError("MARKET is not decided yet. Start `make up`, or set MARKET.")


def _report(
    poll_at: datetime, result: PollResult | None, delivery: Delivery, seconds: float
) -> IngestReport:
    return IngestReport(
        poll_at=poll_at,
        is_skipped=result is None,
        outcome=result.poll.outcome if result else None,
        reason=result.poll.reason if result else "this minute was polled before",
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
