"""Ingestion as its files show it: the ledger, the spool, the budgets and the breakers.

Polls come and go with their processes, so this looks from beside them, and goes on looking
when no poll comes any more.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from crypto_pipeline.observed import poll_metrics as polls
from crypto_pipeline.observed import spool_metrics as spools
from crypto_pipeline.observed.declared import INGESTION
from crypto_pipeline.observed.exposition import counted, gauges, page
from crypto_pipeline.observed.health import Health
from crypto_pipeline.observed.ledger import Book, ledger_file, read_book
from crypto_pipeline.observed.metric import Metric
from crypto_pipeline.settings import COINGECKO, Settings
from crypto_pipeline.source.clock import Clock, SystemClock
from crypto_pipeline.source.venues import breaker_for, budget_for
from crypto_pipeline.stream.spool import spool_folder, spool_limit_bytes
from crypto_pipeline.stream.spool_state import SpoolState, look

# Three intervals: one poll may be skipped while the one before it is still going, and one may
# fail by chance; the third is no accident.
POLL_SECONDS = 180.0
# Each poll is acknowledged, so this is five in a row; a broker that restarts is away for one.
ACK_SECONDS = 300.0
MISSING_SHOWN = 20

COUNTED = tuple(metric for metric in INGESTION if metric.kind != "gauge")
Value = tuple[Metric, tuple[str, ...], float]


class Ingestion:
    """One state folder; ages count from the start of looking where nothing has happened since."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._started_at = self._now()

    def page(self) -> bytes:
        book = read_book(ledger_file(self._settings))
        values = (*self._venues(), *self._spool(book, self._look()), *self._ages(book))
        sums = counted(book, COUNTED)
        return page(INGESTION, {**sums, **gauges(*values)})

    def health(self) -> Health:
        book, spool = read_book(ledger_file(self._settings)), self._look()
        return Health(problems=tuple(self._problems(book, spool)), facts=self._facts(book, spool))

    def _problems(self, book: Book, spool: SpoolState) -> Iterator[str]:
        if book.full is not None:
            yield f"The spool refused the newest poll. {book.full}"
        good = self._silence(book, polls.LAST_GOOD_POLL_AGE)
        if good > POLL_SECONDS:
            runs = self._silence(book, polls.LAST_POLL_AGE) <= POLL_SECONDS
            why = (
                "polls run, but what they bring is not ticks in the spool: look at the venues below"
                if runs
                else "no poll runs: look at the schedule every_minute and its runs in Dagster"
            )
            yield f"No poll with ticks for {good:.0f} s, allowed are {POLL_SECONDS:.0f}; {why}."
        acked = self._silence(book, spools.LAST_ACK_AGE)
        if acked > ACK_SECONDS:
            yield (
                f"Kafka at {self._settings.kafka_address} has acknowledged nothing for "
                f"{acked:.0f} s, allowed are {ACK_SECONDS:.0f}; {spool.polls} polls wait in the "
                "spool. Look at the broker's log."
            )

    def _facts(self, book: Book, spool: SpoolState) -> dict[str, Any]:
        limit = spool_limit_bytes(self._settings)
        lost = book.counts.get(spools.POLLS_LOST.name, {}).get("", [0.0])[0]
        moments = {
            "last_poll_at": polls.LAST_POLL_AGE,
            "last_good_poll_at": polls.LAST_GOOD_POLL_AGE,
            "last_ack_at": spools.LAST_ACK_AGE,
        }
        return {
            "market": self._settings.market,
            **{key: _moment(book.moments.get(age.name)) for key, age in moments.items()},
            "spool": {
                "bytes": spool.bytes,
                "limit_bytes": limit,
                "polls": spool.polls,
                "messages": spool.messages,
                "oldest_poll_at": spool.oldest_poll_at and spool.oldest_poll_at.isoformat(),
            },
            "missing": {"minutes": int(lost), "newest": book.missing[-MISSING_SHOWN:]},
            "venues": {name: self._venue_state(name) for name in self._names()},
        }

    def _venue_state(self, name: str) -> str:
        seen = breaker_for(self._settings, name)
        is_open = seen.why_not(self._clock.now()) is not None
        return f"left alone until {seen.read().until}" if is_open else "may be asked"

    def _venues(self) -> Iterator[Value]:
        for name in self._names():
            budget, breaker = budget_for(self._settings, name), breaker_for(self._settings, name)
            for level in budget.levels():
                yield polls.BUDGET_USED, (name, level.window), level.used
                yield polls.BUDGET_LIMIT, (name, level.window), level.limit
            yield polls.VENUE_WAIT, (name,), budget.wait_seconds()
            failures = breaker.read()
            yield polls.BREAKER_OPEN, (name,), breaker.why_not(self._clock.now()) is not None
            yield polls.BREAKER_FAILURES, (name, "permanent"), failures.permanent
            yield polls.BREAKER_FAILURES, (name, "transient"), failures.transient

    def _spool(self, book: Book, spool: SpoolState) -> Iterator[Value]:
        oldest = spool.oldest_stored_at
        yield spools.SPOOL_BYTES, (), spool.bytes
        yield spools.SPOOL_LIMIT, (), spool_limit_bytes(self._settings)
        yield spools.SPOOL_POLLS, (), spool.polls
        yield spools.SPOOL_MESSAGES, (), spool.messages
        yield spools.SPOOL_OLDEST_AGE, (), max(0.0, self._now() - oldest) if oldest else 0.0
        yield spools.SPOOL_TORN, (), spool.torn
        yield spools.SPOOL_FULL, (), book.full is not None
        yield spools.DISK_FREE, (), shutil.disk_usage(self._settings.home).free

    def _ages(self, book: Book) -> Iterator[Value]:
        for metric in (polls.LAST_POLL_AGE, polls.LAST_GOOD_POLL_AGE, spools.LAST_ACK_AGE):
            if metric.name in book.moments:
                yield metric, (), max(0.0, self._now() - book.moments[metric.name])

    def _silence(self, book: Book, metric: Metric) -> float:
        """Seconds; a stack that was off over night has not been silent before it began."""
        return self._now() - max(self._started_at, book.moments.get(metric.name, 0.0))

    def _names(self) -> tuple[str, ...]:
        reference = (COINGECKO,) if self._settings.coingecko_minutes else ()
        return (*self._settings.venues, *reference)

    def _look(self) -> SpoolState:
        return look(spool_folder(self._settings))

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
