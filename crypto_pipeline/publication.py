"""From a table's commit to the topic that shows it: at least once, each under an id.

Where a publication stopped is read from the topic's own last record, so nothing is remembered
elsewhere and a lost acknowledgement only repeats records that readers know by their id.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from crypto_pipeline.contract import topic
from crypto_pipeline.contract.message import (
    SCHEMA_VERSION,
    MarketKind,
    encode,
    fact_id,
    format_optional_time,
    format_time,
)
from crypto_pipeline.contract.report import HorizonReport
from crypto_pipeline.settings import Settings
from crypto_pipeline.stage_run import StageRun
from crypto_pipeline.stream.newest import newest_record
from crypto_pipeline.stream.publish import MessagePublisher, Outgoing, Publisher

DEADLINE_SECONDS = 20.0
# The stage whose report says who forecasts and how well.
PREDICTIONS = "predictions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Records sent, forecasts whose time had passed, and the batch that the topic now shows."""

    records: int
    passed: int
    batch: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a table stands: its id, which a table made anew does not share, and its last batch."""

    table_id: str
    batch: int


class ClosingPublisher(MessagePublisher, Protocol):
    def close(self) -> None: ...


class ForecastSource(Protocol):
    @property
    def records(self) -> list[dict[str, Any]]: ...
    @property
    def passed(self) -> int: ...


@dataclass(frozen=True)
class Screen:
    """Writes the three topics of the screen; `newest(topic)` is the last record on one."""

    publisher: ClosingPublisher
    newest: Callable[[str], Mapping[str, Any]]

    def close(self) -> None:
        self.publisher.close()

    def publish_summary(
        self, *, at: Position, records: Callable[[], list[dict[str, Any]]]
    ) -> Publication:
        """Send the summary as it stands, unless the topic shows this batch already."""
        started = time.perf_counter()
        if at.batch <= self._shown(topic.SUMMARY.name, at):
            return _nothing(at.batch, started)
        rows = [{**row, "table_id": at.table_id} for row in records()]
        self._send(topic.SUMMARY.name, rows, key=lambda r: f"{r['source']}|{r['symbol']}")
        return _sent(rows, at.batch, started)

    def publish_forecasts(
        self, *, at: Position, records: Callable[[int], ForecastSource]
    ) -> Publication:
        """Send the forecasts of the batches that the topic does not show yet."""
        started = time.perf_counter()
        last = self._shown(topic.FORECASTS.name, at)
        if at.batch <= last:
            return _nothing(at.batch, started)
        found = records(last)
        rows = [{**row, "table_id": at.table_id} for row in found.records]
        self._send(topic.FORECASTS.name, rows, key=_forecast_key)
        return _sent(rows, at.batch, started, passed=found.passed)

    def publish_status(
        self,
        runs: Mapping[str, StageRun],
        *,
        market: MarketKind,
        behind: Mapping[str, int],
        run_id: str | None = None,
        horizons: Sequence[HorizonReport] = (),
    ) -> Publication:
        """Send what each stage did last; a stage that found nothing new sends nothing.

        `horizons` ride on the report of the stage `predictions`, once there are any.
        """
        started = time.perf_counter()
        now = datetime.now(UTC)
        rows = [
            {**_report(run, market, now), "behind": behind.get(name, 0), "run_id": run_id}
            for name, run in runs.items()
            if not run.is_empty
        ]
        for row in rows:
            if row["stage"] == PREDICTIONS and horizons:
                row["horizons"] = list(horizons)
        self._send(topic.STATUS.name, rows, key=lambda r: str(r["stage"]))
        return _sent(rows, max((r["batch"] for r in rows), default=0), started)

    def _shown(self, name: str, at: Position) -> int:
        """The batch that the topic shows; 0 when its records are of another table.

        A table that was restored from a backup has its old id and stands before its own records:
        then only its newest batch is not shown.
        """
        record = self.newest(name)
        if record.get("table_id") != at.table_id:
            return 0
        shown = int(record.get("batch", 0))
        return shown if shown <= at.batch else at.batch - 1

    def _send(
        self, name: str, rows: list[dict[str, Any]], *, key: Callable[[dict[str, Any]], str]
    ) -> None:
        messages = [Outgoing(topic=name, key=key(r).encode(), value=encode(r)) for r in rows]
        self.publisher.publish(messages, deadline_seconds=DEADLINE_SECONDS)


def open_screen(settings: Settings) -> Screen:
    """A screen on the broker of the settings; connects at the first use."""
    return Screen(
        publisher=Publisher(settings),
        newest=lambda name: newest_record(settings, name),
    )


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
        "outcomes": dict(run.outcomes),
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
