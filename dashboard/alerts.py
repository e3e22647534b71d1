"""When the market is worth a look: what is over its threshold, since when, and the log of it.

Pure: no thread, no clock. Measures are gold's own; ages are by the broker's time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dashboard.frames import Instrument
from dashboard.words import change_percent, say_age, say_change, say_percent

Kind = Literal["move", "volatility", "stale"]
Name = tuple[Kind, str]
LOG_KEPT = 500
# What is over its threshold ends only when it is well below: a value on the edge is one alert.
RELEASE = 0.9
EVERYTHING = "all symbols"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Percent in 5 minutes, percent a year, and seconds."""

    move_percent: float
    volatility_percent: float
    stale_seconds: float

    def scaled(self, factor: float) -> Thresholds:
        return Thresholds(
            move_percent=self.move_percent * factor,
            volatility_percent=self.volatility_percent * factor,
            stale_seconds=self.stale_seconds * factor,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One alert that began or ended; `words` say the measure."""

    at: datetime
    kind: Kind
    symbol: str
    has_begun: bool
    words: str


def exceeded(known: Sequence[Instrument], limits: Thresholds) -> dict[Name, str]:
    """What is over its threshold now, in words. Stale all together is one, not one a symbol."""
    found: dict[Name, str] = {}
    stale: dict[Name, str] = {}
    for one in known:
        summary, age = one.summary, one.freshness.age
        move = None if summary is None else change_percent(summary.return_5m)
        if summary is not None and move is not None and abs(move) >= limits.move_percent:
            found[("move", one.symbol)] = f"{say_change(summary.return_5m)} in 5 min"
        volatility = None if summary is None else summary.volatility_1h
        if volatility is not None and volatility * 100 >= limits.volatility_percent:
            found[("volatility", one.symbol)] = f"{say_percent(volatility)} a year"
        if age is not None and age.total_seconds() >= limits.stale_seconds:
            stale[("stale", one.symbol)] = f"no poll for {say_age(age)}"
    if len(stale) > 1 and len(stale) == len(known):
        return {**found, ("stale", EVERYTHING): max(stale.values(), key=len)}
    return {**found, **stale}


class Log:
    """What is on, and what began and ended, the newest last; bounded."""

    def __init__(self) -> None:
        self.active: dict[Name, datetime] = {}
        self.events: deque[Event] = deque(maxlen=LOG_KEPT)

    def update(
        self, over: Mapping[Name, str], near: Mapping[Name, str], now: datetime
    ) -> list[Event]:
        """Begin what is over and was not; end what is not even near any more."""
        begun = [name for name in over if name not in self.active]
        ended = [name for name in self.active if name not in near]
        events = [_event(name, now, over[name]) for name in begun]
        events += [_event(name, now, "back below its threshold", ended=True) for name in ended]
        for name in begun:
            self.active[name] = now
        for name in ended:
            del self.active[name]
        self.events.extend(events)
        return events


def watch(log: Log, known: Sequence[Instrument], limits: Thresholds, now: datetime) -> list[Event]:
    """One look of a log at the market; gives what is new in it."""
    if not known:
        return []
    return log.update(exceeded(known, limits), exceeded(known, limits.scaled(RELEASE)), now)


def _event(name: Name, now: datetime, words: str, *, ended: bool = False) -> Event:
    return Event(at=now, kind=name[0], symbol=name[1], has_begun=not ended, words=words)
