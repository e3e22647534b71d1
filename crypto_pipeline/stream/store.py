"""A poll's messages, and making them durable: into the spool, with room made if need be."""

from __future__ import annotations

import logging
from datetime import datetime

from crypto_pipeline.contract.message import format_time
from crypto_pipeline.contract.poll import Purpose
from crypto_pipeline.contract.topic import CANDLES, POLLS, REJECTED, TICKS
from crypto_pipeline.errors import BrokerAwayError, DeliveryError, SpoolFullError
from crypto_pipeline.observed.ledger import Tally
from crypto_pipeline.source.poll import PollResult
from crypto_pipeline.stream.counted import count_lost, count_stored
from crypto_pipeline.stream.deliver import deliver
from crypto_pipeline.stream.publish import MessagePublisher, Outgoing
from crypto_pipeline.stream.spool import Spool

log = logging.getLogger(__name__)

DEADLINE_SECONDS = 20.0
# A backlog that needs longer is finished by the runs that follow.
PATIENCE_SECONDS = 40.0


def outgoing(result: PollResult) -> tuple[list[Outgoing], Outgoing]:
    """A poll's messages in the order to send them, and its own record that comes after all.

    Polls of other venues in the same minute go before, each with its record after its facts.
    """
    messages = []
    for part in result.earlier:
        facts, record = outgoing(part)
        messages += [*facts, record]
    groups = ((TICKS, result.ticks), (CANDLES, result.candles), (REJECTED, result.rejected))
    messages += [
        Outgoing(topic=topic.name, key=fact.key, value=fact.encode())
        for topic, facts in groups
        for fact in facts
    ]
    poll = result.poll
    return messages, Outgoing(topic=POLLS.name, key=poll.key, value=poll.encode())


def store(
    spool: Spool,
    result: PollResult,
    publisher: MessagePublisher,
    *,
    poll_at: datetime,
    purpose: Purpose,
    tally: Tally,
) -> None:
    """Append to the spool; when it is full, make room by sending what waits, then once more.

    What the spool refuses even so is said, counted and raised: nothing it holds makes way.
    """
    messages, final = outgoing(result)
    try:
        try:
            spool.append(messages, final, poll_at=poll_at, purpose=purpose)
        except SpoolFullError as full:
            _make_room(spool, publisher, full, tally)
            spool.append(messages, final, poll_at=poll_at, purpose=purpose)
    except SpoolFullError as error:
        log.error("%s", error)
        # History is fetched again as long as there is none; a minute's prices are gone.
        count_lost(tally, str(error), minute=format_time(poll_at) if purpose == "minute" else None)
        raise
    else:
        count_stored(tally, [*messages, final], has_ticks=bool(result.ticks))
    finally:
        tally.save()


def _make_room(
    spool: Spool, publisher: MessagePublisher, full: SpoolFullError, tally: Tally
) -> None:
    try:
        deliver(
            spool,
            publisher,
            deadline_seconds=DEADLINE_SECONDS,
            patience_seconds=PATIENCE_SECONDS,
            tally=tally,
        )
    except (BrokerAwayError, DeliveryError) as error:
        raise full from error
