"""From the spool to the topics: oldest poll first, its own record after all its facts."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass

from crypto_pipeline.errors import BrokerAwayError, DeliveryError, StreamError
from crypto_pipeline.observed.ledger import Tally
from crypto_pipeline.stream.counted import count_delivered
from crypto_pipeline.stream.marks import note_published
from crypto_pipeline.stream.publish import MessagePublisher, Offsets
from crypto_pipeline.stream.ranges import Span
from crypto_pipeline.stream.spool import Entry, Spool

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What one emptying of the spool did; `left` polls wait because its time was up."""

    polls: int
    messages: int
    left: int
    offsets: Offsets
    torn: tuple[str, ...]


def deliver(
    spool: Spool,
    publisher: MessagePublisher,
    *,
    deadline_seconds: float,
    patience_seconds: float,
    tally: Tally | None = None,
) -> Delivery:
    """Publish what waits until `patience_seconds` are over; one poll has `deadline_seconds`.

    A broker that is away or silent leaves the poll and all later ones in the spool.
    """
    until = time.monotonic() + patience_seconds
    waiting = spool.pending()
    torn: list[str] = []
    offsets: Offsets = {}
    messages = polls = 0
    tally = tally or Tally()
    try:
        for entry in waiting:
            if polls and time.monotonic() >= until:
                break
            tear, sent, spans = _deliver_one(spool, entry, publisher, deadline_seconds, tally)
            torn += [tear] if tear else []
            messages, polls, offsets = messages + sent, polls + 1, _merge(offsets, spans)
    except (BrokerAwayError, DeliveryError) as error:
        raise _kept(error, spool) from error
    return Delivery(
        polls=polls,
        messages=messages,
        left=len(waiting) - polls,
        offsets=offsets,
        torn=tuple(torn),
    )


def _deliver_one(
    spool: Spool,
    entry: Entry,
    publisher: MessagePublisher,
    deadline_seconds: float,
    tally: Tally,
) -> tuple[str | None, int, Offsets]:
    """Trim last: a kill anywhere before repeats the poll under the same ids."""
    stored_at, stored = entry.stored_at, spool.read(entry)
    if stored.tear:
        log.error(stored.tear)
    published = publisher.publish(stored.messages, deadline_seconds=deadline_seconds)
    offsets, count = published.offsets, published.count
    if stored.final is not None:
        closed = publisher.publish([stored.final], deadline_seconds=deadline_seconds)
        offsets, count = _merge(offsets, closed.offsets), count + closed.count
        note_published(spool.folder, json.loads(stored.final.value))
    spool.trim(entry)
    sent = stored.messages if stored.final is None else (*stored.messages, stored.final)
    count_delivered(tally, sent, stored_at=stored_at)
    return stored.tear, count, offsets


def _kept(error: StreamError, spool: Spool) -> StreamError:
    waiting = spool.pending()
    return type(error)(
        f"{error} Nothing is lost: {len(waiting)} polls wait in {spool.folder}, the oldest of "
        f"{waiting[0].poll_at:%Y-%m-%d %H:%M} UTC, and are sent first when Kafka is back."
    )


def _merge(left: Offsets, right: Offsets) -> Offsets:
    merged = {topic: dict(partitions) for topic, partitions in left.items()}
    for topic, partitions in right.items():
        known = merged.setdefault(topic, {})
        for number, span in partitions.items():
            begin, end = known.get(number, span)
            known[number] = Span(min(begin, span.beginning), max(end, span.end))
    return merged
