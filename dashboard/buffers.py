"""The feed's memory: bounded by time, by count and by bytes; what is shed is counted.

Pure: no thread and no clock. Time is the broker's, so a market replayed at sixty times its
speed keeps as much as a live one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from crypto_pipeline.contract import topic
from crypto_pipeline.stream.tail import TailRecord, TailStatus
from dashboard import reading, reading_reports
from dashboard.points import (
    CandlePoint,
    ForecastPoint,
    Key,
    PollPoint,
    SpoolPoint,
    StatusPoint,
    SummaryPoint,
    TickPoint,
)
from dashboard.series import (
    BAND_MINUTES,
    MinuteSeries,
    Newest,
    candle_series,
    forecast_series,
    joined,
)

TICKS_KEPT = timedelta(hours=2)
CANDLES_KEPT = 1_500
FORECASTS_KEPT = 1_440
# The horizon whose past forecasts are drawn against what came.
HORIZON_KEPT = 60
POLLS_KEPT = 2_000
COMMITS_KEPT = 700
BYTE_LIMIT = 256 * 1024 * 1024
RECORD_LIMIT = 1024 * 1024
# Resident size of one kept point, rounded up; arrays of a summary are below its JSON's size.
TICK_BYTES = 1_000
CANDLE_BYTES = 500
FORECAST_BYTES = 600
BAND_BYTES = 6 * 8 * BAND_MINUTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Everything the buffers hold at one `version`, safe to read from any thread."""

    version: int
    latest: Mapping[Key, TickPoint]
    ticks: tuple[TickPoint, ...]
    candles: Mapping[Key, tuple[CandlePoint, ...]]
    summaries: Mapping[Key, SummaryPoint]
    forecasts: tuple[ForecastPoint, ...]
    served: Mapping[Key, tuple[ForecastPoint, ...]]
    status: Mapping[str, StatusPoint]
    commits: tuple[StatusPoint, ...]
    spool: SpoolPoint | None
    polls: tuple[PollPoint, ...]
    poll_log: tuple[PollPoint, ...]
    bytes: int
    shed: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One look at the feed: what is kept, how the tail is, and where the broker should be."""

    kept: Kept
    tail: TailStatus
    broker: str


class Buffers:
    """Takes records, keeps what the screen needs. Not thread-safe: `Feed` holds the lock."""

    def __init__(self, *, byte_limit: int = BYTE_LIMIT) -> None:
        self._byte_limit = byte_limit
        self._version = 0
        self._ticks: deque[TickPoint] = deque()
        self._latest: Newest[Key, TickPoint] = Newest()
        self._candles: dict[Key, MinuteSeries[CandlePoint]] = {}
        self._candle_count = 0
        self._served: dict[Key, MinuteSeries[ForecastPoint]] = {}
        self._served_count = 0
        self._summaries: Newest[Key, SummaryPoint] = Newest()
        self._forecasts: Newest[str, ForecastPoint] = Newest()
        self._status: Newest[str, StatusPoint] = Newest()
        self._commits: deque[StatusPoint] = deque(maxlen=COMMITS_KEPT)
        self._spool: SpoolPoint | None = None
        self._polls: Newest[tuple[str, str], PollPoint] = Newest()
        self._poll_log: deque[PollPoint] = deque(maxlen=POLLS_KEPT)
        self._shed: dict[str, int] = {}

    @property
    def bytes(self) -> int:
        points = len(self._ticks) * TICK_BYTES + self._candle_count * CANDLE_BYTES
        points += self._served_count * FORECAST_BYTES
        points += (len(self._commits) + len(self._poll_log)) * TICK_BYTES
        return points + sum(table.bytes for table in self._tables)

    @property
    def _tables(self) -> tuple[Newest[Any, Any], ...]:
        return (self._latest, self._summaries, self._forecasts, self._status, self._polls)

    def take(self, record: TailRecord) -> None:
        """Keep one record; ValueError when it is not what its topic promises."""
        if record.size > RECORD_LIMIT:
            self._count_shed(record.topic, 1)
            return
        if record.value is None:
            self._forget(record)
        else:
            self._keep(record, record.value)
        self._fit()
        self._version += 1

    def freeze(self) -> Kept:
        return Kept(
            version=self._version,
            latest=self._latest.freeze(),
            ticks=tuple(self._ticks),
            candles=MappingProxyType({key: s.freeze() for key, s in self._candles.items()}),
            summaries=self._summaries.freeze(),
            forecasts=tuple(self._forecasts.freeze().values()),
            served=MappingProxyType({key: s.freeze() for key, s in self._served.items()}),
            status=self._status.freeze(),
            commits=tuple(self._commits),
            spool=self._spool,
            polls=tuple(self._polls.freeze().values()),
            poll_log=tuple(self._poll_log),
            bytes=self.bytes,
            shed=MappingProxyType(dict(self._shed)),
        )

    def _keep(self, record: TailRecord, value: dict[str, Any]) -> None:
        if record.topic == topic.TICKS.name:
            self._keep_tick(reading.read_tick(value, record.broker_at))
        elif record.topic == topic.CANDLES.name:
            self._keep_candle(reading.read_key(value), reading.read_candle(value))
        elif record.topic == topic.SUMMARY.name:
            self._keep_summary(reading_reports.read_summary(value), size=record.size)
        elif record.topic == topic.FORECASTS.name:
            self._keep_forecast(record.key, reading_reports.read_forecast(value))
        elif record.topic == topic.STATUS.name:
            self._keep_status(value)
        elif record.topic == topic.POLLS.name:
            poll = reading.read_poll(value, record.broker_at)
            self._polls.put((poll.source, poll.purpose), poll)
            self._poll_log.append(poll)

    def _keep_tick(self, tick: TickPoint) -> None:
        key = (tick.source, tick.symbol)
        before = self._latest.get(key)
        if before is not None and before.digits > tick.digits:
            # Venues cut zeros off: a price must not lose its decimals for a minute.
            tick = replace(tick, digits=before.digits)
        self._ticks.append(tick)
        self._latest.put(key, tick)
        while tick.broker_at - self._ticks[0].broker_at > TICKS_KEPT:
            self._ticks.popleft()

    def _keep_candle(self, key: Key, candle: CandlePoint) -> None:
        series = self._candles.setdefault(key, candle_series(CANDLES_KEPT))
        before = len(series)
        series.put(candle)
        self._candle_count += len(series) - before

    def _keep_summary(self, summary: SummaryPoint, *, size: int) -> None:
        key = (summary.source, summary.symbol)
        before = self._summaries.get(key)
        if before is not None:
            summary = replace(summary, recent=joined(before.recent, summary.recent))
        cost = size + (BAND_BYTES if summary.recent.minute_at.size else 0)
        self._summaries.put(key, summary, size=cost)

    def _keep_forecast(self, name: str, forecast: ForecastPoint) -> None:
        self._forecasts.put(name, forecast)
        if not forecast.is_served or forecast.horizon_minutes != HORIZON_KEPT:
            return
        key = (forecast.source, forecast.symbol)
        series = self._served.setdefault(key, forecast_series(FORECASTS_KEPT))
        before = len(series)
        series.put(forecast)
        self._served_count += len(series) - before

    def _keep_status(self, value: dict[str, Any]) -> None:
        """Kinds that are not known here are for other readers."""
        kind = value.get("kind")
        if kind == "status":
            status = reading_reports.read_status(value)
            self._status.put(status.stage, status)
            self._commits.append(status)
        elif kind == "spool":
            self._spool = reading_reports.read_spool(value)

    def _forget(self, record: TailRecord) -> None:
        """A compacted topic deletes by its key: `source|symbol`, the stage, or the forecast's."""
        if record.topic == topic.SUMMARY.name:
            source, _, symbol = record.key.partition("|")
            self._summaries.drop((source, symbol))
        elif record.topic == topic.FORECASTS.name:
            self._forecasts.drop(record.key)
        elif record.topic == topic.STATUS.name:
            self._status.drop(record.key)

    def _fit(self) -> None:
        """Shed the least needed until the rest fits: old ticks, old candles, old keyed records."""
        while self.bytes > self._byte_limit:
            if self._ticks:
                self._ticks.popleft()
                self._count_shed("market.ticks", 1)
            elif self._candle_count:
                count = shed_longest(self._candles)
                self._candle_count -= count
                self._count_shed("market.candles", count)
            elif self._served_count:
                count = shed_longest(self._served)
                self._served_count -= count
                self._count_shed("market.forecasts", count)
            else:
                max(self._tables, key=lambda table: table.bytes).drop_oldest()
                self._count_shed("keyed", 1)

    def _count_shed(self, what: str, count: int) -> None:
        self._shed[what] = self._shed.get(what, 0) + count


def shed_longest(series: dict[Key, MinuteSeries[Any]]) -> int:
    """Drop a tenth of the longest at once, one by one would search it each time; gives how many."""
    key = max(series, key=lambda key: len(series[key]))
    count = max(1, len(series[key]) // 10)
    series[key].drop_oldest(count)
    if not len(series[key]):
        del series[key]
    return count
