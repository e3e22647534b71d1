"""The feed's memory: bounded by time, by count and by bytes; what is shed is counted.

Pure: no thread and no clock. Time is the broker's, so a market replayed at sixty times its
speed keeps as much as a live one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from crypto_pipeline.contract import topic
from crypto_pipeline.stream.tail import TailRecord, TailStatus
from dashboard import reading
from dashboard.points import (
    CandlePoint,
    ForecastPoint,
    Key,
    PollPoint,
    StatusPoint,
    SummaryPoint,
    TickPoint,
)

Name = TypeVar("Name")
Point = TypeVar("Point")

TICKS_KEPT = timedelta(hours=2)
CANDLES_KEPT = 1_500
BYTE_LIMIT = 256 * 1024 * 1024
RECORD_LIMIT = 1024 * 1024
# Resident size of one kept point, rounded up; arrays of a summary are below its JSON's size.
TICK_BYTES = 1_000
CANDLE_BYTES = 500
KEYED_BYTES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Everything the buffers hold at one `version`, safe to read from any thread."""

    version: int
    latest: Mapping[Key, TickPoint]
    ticks: tuple[TickPoint, ...]
    candles: Mapping[Key, tuple[CandlePoint, ...]]
    summaries: Mapping[Key, SummaryPoint]
    forecasts: tuple[ForecastPoint, ...]
    status: Mapping[str, StatusPoint]
    polls: tuple[PollPoint, ...]
    bytes: int
    shed: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One look at the feed: what is kept, how the tail is, and where the broker should be."""

    kept: Kept
    tail: TailStatus
    broker: str


class Newest(Generic[Name, Point]):
    """The last value of each name, in the order of arrival, with its cost in bytes."""

    def __init__(self) -> None:
        self._values: dict[Name, tuple[Point, int]] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._values)

    def put(self, name: Name, value: Point, *, size: int = 0) -> None:
        self.drop(name)
        self._values[name] = (value, KEYED_BYTES + size)
        self.bytes += KEYED_BYTES + size

    def drop(self, name: Name) -> None:
        _, cost = self._values.pop(name, (None, 0))
        self.bytes -= cost

    def drop_oldest(self) -> None:
        self.drop(next(iter(self._values)))

    def freeze(self) -> Mapping[Name, Point]:
        return MappingProxyType({name: value for name, (value, _) in self._values.items()})


class CandleSeries:
    """The closed minutes of one instrument; the revision observed last wins its minute."""

    def __init__(self) -> None:
        self._minutes: dict[Any, CandlePoint] = {}
        self._frozen: tuple[CandlePoint, ...] | None = ()

    def __len__(self) -> int:
        return len(self._minutes)

    def put(self, candle: CandlePoint) -> None:
        known = self._minutes.get(candle.open_at)
        if known is not None and known.observed_at > candle.observed_at:
            return
        self._minutes[candle.open_at] = candle
        self._frozen = None
        if len(self._minutes) > CANDLES_KEPT:
            self.drop_oldest(len(self._minutes) - CANDLES_KEPT)

    def drop_oldest(self, count: int) -> None:
        for open_at in sorted(self._minutes)[:count]:
            del self._minutes[open_at]
        self._frozen = None

    def freeze(self) -> tuple[CandlePoint, ...]:
        if self._frozen is None:
            self._frozen = tuple(self._minutes[moment] for moment in sorted(self._minutes))
        return self._frozen


class Buffers:
    """Takes records, keeps what the screen needs. Not thread-safe: `Feed` holds the lock."""

    def __init__(self, *, byte_limit: int = BYTE_LIMIT) -> None:
        self._byte_limit = byte_limit
        self._version = 0
        self._ticks: deque[TickPoint] = deque()
        self._latest: Newest[Key, TickPoint] = Newest()
        self._candles: dict[Key, CandleSeries] = {}
        self._candle_count = 0
        self._summaries: Newest[Key, SummaryPoint] = Newest()
        self._forecasts: Newest[str, ForecastPoint] = Newest()
        self._status: Newest[str, StatusPoint] = Newest()
        self._polls: Newest[tuple[str, str], PollPoint] = Newest()
        self._shed: dict[str, int] = {}

    @property
    def bytes(self) -> int:
        points = len(self._ticks) * TICK_BYTES + self._candle_count * CANDLE_BYTES
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
            status=self._status.freeze(),
            polls=tuple(self._polls.freeze().values()),
            bytes=self.bytes,
            shed=MappingProxyType(dict(self._shed)),
        )

    def _keep(self, record: TailRecord, value: dict[str, Any]) -> None:
        if record.topic == topic.TICKS.name:
            self._keep_tick(reading.read_tick(value, record.broker_at))
        elif record.topic == topic.CANDLES.name:
            self._keep_candle(reading.read_key(value), reading.read_candle(value))
        elif record.topic == topic.SUMMARY.name:
            key = reading.read_key(value)
            self._summaries.put(key, reading.read_summary(value), size=record.size)
        elif record.topic == topic.FORECASTS.name:
            self._forecasts.put(record.key, reading.read_forecast(value))
        elif record.topic == topic.STATUS.name:
            status = reading.read_status(value)
            self._status.put(status.stage, status)
        elif record.topic == topic.POLLS.name:
            poll = reading.read_poll(value, record.broker_at)
            self._polls.put((poll.source, poll.purpose), poll)

    def _keep_tick(self, tick: TickPoint) -> None:
        self._ticks.append(tick)
        self._latest.put((tick.source, tick.symbol), tick)
        while tick.broker_at - self._ticks[0].broker_at > TICKS_KEPT:
            self._ticks.popleft()

    def _keep_candle(self, key: Key, candle: CandlePoint) -> None:
        series = self._candles.setdefault(key, CandleSeries())
        before = len(series)
        series.put(candle)
        self._candle_count += len(series) - before

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
                self._shed_candles()
            else:
                max(self._tables, key=lambda table: table.bytes).drop_oldest()
                self._count_shed("keyed", 1)

    def _shed_candles(self) -> None:
        """A tenth of the longest series at once: one by one would search it each time."""
        key = max(self._candles, key=lambda key: len(self._candles[key]))
        series = self._candles[key]
        count = max(1, len(series) // 10)
        series.drop_oldest(count)
        self._candle_count -= count
        self._count_shed("market.candles", count)
        if not series:
            del self._candles[key]

    def _count_shed(self, what: str, count: int) -> None:
        self._shed[what] = self._shed.get(what, 0) + count
