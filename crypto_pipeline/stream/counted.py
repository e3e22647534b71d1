"""What ingestion counts for its metrics, step by step."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from crypto_pipeline.observed import poll_metrics, spool_metrics
from crypto_pipeline.observed.ledger import Tally
from crypto_pipeline.source.poll import PollResult
from crypto_pipeline.stream.publish import Outgoing


def count_poll(tally: Tally, result: PollResult, *, first: str | None = None) -> None:
    """`first` is the venue that is asked first in a minute; None where there is no order."""
    poll = result.poll
    for part in result.earlier:
        count_poll(tally, part)
    tally.count(poll_metrics.POLLS, poll.venue, poll.purpose, poll.outcome)
    tally.count(poll_metrics.TICKS, poll.venue, by=len(result.ticks))
    tally.count(poll_metrics.CANDLES, poll.venue, by=len(result.candles))
    for reason, count in Counter(row.reason for row in result.rejected).items():
        tally.count(poll_metrics.REJECTED, poll.venue, reason, by=count)
    if first not in (None, poll.venue) and result.ticks:
        tally.count(poll_metrics.FAILOVERS, poll.venue)
    if poll.purpose == "minute":
        tally.mark(poll_metrics.LAST_POLL_AGE, time.time())


def count_stored(tally: Tally, messages: Sequence[Outgoing], *, has_ticks: bool) -> None:
    tally.note_stored()
    for topic, count in Counter(message.topic for message in messages).items():
        tally.count(spool_metrics.SPOOLED, topic, by=count)
    if has_ticks:
        tally.mark(poll_metrics.LAST_GOOD_POLL_AGE, time.time())


def count_lost(tally: Tally, sentence: str, *, minute: str | None) -> None:
    tally.note_refused(sentence, minute=minute)
    if minute is not None:
        tally.count(spool_metrics.POLLS_LOST)


def count_delivered(tally: Tally, messages: Sequence[Outgoing], *, stored_at: float) -> None:
    """One poll, acknowledged as a whole; `stored_at` is seconds since 1970."""
    now = time.time()
    for topic, count in Counter(message.topic for message in messages).items():
        tally.count(spool_metrics.PUBLISHED, topic, by=count)
    tally.observe(spool_metrics.PUBLISH_LAG, seconds=max(0.0, now - stored_at))
    tally.mark(spool_metrics.LAST_ACK_AGE, now)
