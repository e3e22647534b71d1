"""What the buffers are made of: the last of each name, and series of minutes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import numpy as np

from dashboard.points import BandSeries, CandlePoint, ForecastPoint

Name = TypeVar("Name")
Point = TypeVar("Point")

# Resident size of one kept point, rounded up.
KEYED_BYTES = 1_000
BAND_MINUTES = 1_440


class Newest(Generic[Name, Point]):
    """The last value of each name, in the order of arrival, with its cost in bytes."""

    def __init__(self) -> None:
        self._values: dict[Name, tuple[Point, int]] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._values)

    def get(self, name: Name) -> Point | None:
        found = self._values.get(name)
        return None if found is None else found[0]

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


class MinuteSeries(Generic[Point]):
    """One point a minute, in the order of time; `is_newer` says which of two holds it."""

    def __init__(
        self,
        *,
        limit: int,
        minute: Callable[[Point], datetime],
        is_newer: Callable[[Point, Point], bool],
    ) -> None:
        self._limit, self._minute, self._is_newer = limit, minute, is_newer
        self._minutes: dict[datetime, Point] = {}
        self._frozen: tuple[Point, ...] | None = ()

    def __len__(self) -> int:
        return len(self._minutes)

    def put(self, point: Point) -> None:
        minute = self._minute(point)
        known = self._minutes.get(minute)
        if known is not None and not self._is_newer(point, known):
            return
        self._minutes[minute] = point
        self._frozen = None
        if len(self._minutes) > self._limit:
            self.drop_oldest(len(self._minutes) - self._limit)

    def drop_oldest(self, count: int) -> None:
        for minute in sorted(self._minutes)[:count]:
            del self._minutes[minute]
        self._frozen = None

    def freeze(self) -> tuple[Point, ...]:
        if self._frozen is None:
            self._frozen = tuple(self._minutes[minute] for minute in sorted(self._minutes))
        return self._frozen


def candle_series(limit: int) -> MinuteSeries[CandlePoint]:
    """The closed minutes of one instrument; the revision observed last wins its minute."""
    return MinuteSeries(
        limit=limit,
        minute=lambda candle: candle.open_at,
        is_newer=lambda new, known: new.observed_at >= known.observed_at,
    )


def forecast_series(limit: int) -> MinuteSeries[ForecastPoint]:
    """What was served for one instrument, an origin a point."""
    return MinuteSeries(
        limit=limit, minute=lambda one: one.origin_at, is_newer=lambda new, known: True
    )


def joined(old: BandSeries, new: BandSeries) -> BandSeries:
    """The minutes of `old` before those of `new`, then `new`; at most a day of them."""
    if not new.minute_at.size or not old.minute_at.size:
        return new if new.minute_at.size else old
    before = old.minute_at < new.minute_at[0]

    def both(name: str) -> Any:
        column = np.concatenate([getattr(old, name)[before], getattr(new, name)])[-BAND_MINUTES:]
        column.setflags(write=False)
        return column

    return BandSeries(**{name: both(name) for name in BandSeries.__slots__})
