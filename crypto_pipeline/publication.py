"""From a table's commit to the topic that shows it: at least once, each under an id.

Where a publication stopped is read from the topic's own last record, so nothing is remembered
elsewhere and a lost acknowledgement only repeats records that readers know by their id.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from kafka import TopicPartition

from crypto_pipeline.contract import topic
from crypto_pipeline.contract.message import (
    SCHEMA_VERSION,
    MarketKind,
    encode,
    fact_id,
    format_optional_time,
    format_time,
)
from crypto_pipeline.run_stage import StageRun
from crypto_pipeline.settings import Settings
from crypto_pipeline.stream.connection import open_consumer
from crypto_pipeline.stream.publish import MessagePublisher, Outgoing, Publisher

DEADLINE_SECONDS = 20.0
FETCH_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Records sent, forecasts whose time had passed, and the batch that the topic now shows."""

    records: int
    passed: int
    batch: int
    seconds: float


class ForecastSource(Protocol):
    @property
    def records(self) -> list[dict[str, Any]]: ...
    @property
    def passed(self) -> int: ...


@dataclass(frozen=True)
class Screen:
    """Writes the three topics of the screen; `last_batch(topic)` is the newest batch on one."""

    publisher: MessagePublisher
    last_batch: Callable[[str], int]

    def publish_summary(
        self, *, batch: int, records: Callable[[], list[dict[str, Any]]]
    ) -> Publication:
        """Send the summary as it stands, unless the topic shows this batch already."""
        started = time.perf_counter()
        if batch <= self.last_batch(topic.SUMMARY.name):
            return _nothing(batch, started)
        rows = records()
        self._send(topic.SUMMARY.name, rows, key=lambda r: f"{r['source']}|{r['symbol']}")
        return _sent(rows, batch, started)

    def publish_forecasts(
        self, *, batch: int, records: Callable[[int], ForecastSource]
    ) -> Publication:
        """Send the forecasts of the batches that the topic does not show yet."""
        started = time.perf_counter()
        last = self.last_batch(topic.FORECASTS.name)
        if batch <= last:
            return _nothing(batch, started)
        found = records(last)
        self._send(topic.FORECASTS.name, found.records, key=_forecast_key)
        return _sent(found.records, batch, started, passed=found.passed)

    def publish_status(self, runs: Mapping[str, StageRun], *, market: MarketKind) -> Publication:
        """Send what each stage did last; a stage that found nothing new sends nothing."""
        started = time.perf_counter()
        now = datetime.now(UTC)
        rows = [_report(run, market, now) for run in runs.values() if not run.is_empty]
        self._send(topic.STATUS.name, rows, key=lambda r: str(r["stage"]))
        return _sent(rows, max((r["batch"] for r in rows), default=0), started)

    def _send(
        self, name: str, rows: list[dict[str, Any]], *, key: Callable[[dict[str, Any]], str]
    ) -> None:
        messages = [Outgoing(topic=name, key=key(r).encode(), value=encode(r)) for r in rows]
        self.publisher.publish(messages, deadline_seconds=DEADLINE_SECONDS)


def open_screen(settings: Settings) -> Screen:
    """A screen on the broker of the settings; connects at the first use."""
    return Screen(
        publisher=Publisher(settings),
        last_batch=lambda name: newest_batch(settings, name),
    )


def newest_batch(settings: Settings, name: str) -> int:
    """The batch named by the last record of a one-partition topic; 0 when it is empty."""
    place = TopicPartition(name, 0)
    with closing(open_consumer(settings)) as consumer:
        consumer.assign([place])
        end = consumer.end_offsets([place])[place]
        start = consumer.beginning_offsets([place])[place]
        if end <= start:
            return 0
        consumer.seek(place, end - 1)
        found = consumer.poll(timeout_ms=FETCH_MS, max_records=1)
        for records in found.values():
            return int(json.loads(records[-1].value).get("batch", 0))
    return 0


def _forecast_key(record: dict[str, Any]) -> str:
    return "|".join(str(record[n]) for n in ("source", "symbol", "horizon_minutes", "model"))


def _report(run: StageRun, market: MarketKind, now: datetime) -> dict[str, Any]:
    newest = format_optional_time(run.newest_fact_at)
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "status",
        "id": fact_id("status", run.stage, str(run.batch)),
        "stage": run.stage,
        "market": market,
        "batch": run.batch,
        "version": max(run.versions.values(), default=-1),
        "rows_in": run.rows_in,
        "rows_out": sum(run.rows_out.values()),
        "rejected": run.rejected,
        "seconds": run.seconds,
        "newest_fact_at": newest,
        "committed_at": format_time(now),
    }


def _nothing(batch: int, started: float) -> Publication:
    return Publication(records=0, passed=0, batch=batch, seconds=time.perf_counter() - started)


def _sent(
    rows: list[dict[str, Any]], batch: int, started: float, *, passed: int = 0
) -> Publication:
    seconds = round(time.perf_counter() - started, 3)
    return Publication(records=len(rows), passed=passed, batch=batch, seconds=seconds)
