"""One consumer a server process, and the look at the market that every session shares.

`Feed.take` runs on the tail's thread, `Feed.snapshot` and `Feed.look` on any; none makes a
Streamlit call. Sessions get the same frozen buffers until a record arrives, and the same
instruments within a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

import streamlit as st

from crypto_pipeline.contract import topic
from crypto_pipeline.settings import Settings, load
from crypto_pipeline.stream.tail import Follow, Tail, TailRecord, TailStatus
from dashboard import frames, observing
from dashboard.buffers import BYTE_LIMIT, TICKS_KEPT, Buffers, Kept, View

FOLLOWED = (
    Follow(topic=topic.TICKS, since=TICKS_KEPT),
    Follow(topic=topic.CANDLES, since=timedelta(hours=24)),
    Follow(topic=topic.POLLS, since=TICKS_KEPT),
    Follow(topic=topic.SUMMARY),
    Follow(topic=topic.FORECASTS),
    Follow(topic=topic.STATUS),
)


T = TypeVar("T")
# Beyond so many a chart is made for its session alone: viewers choose zone, range and colours.
DRAWINGS_KEPT = 300


class RunningTail(Protocol):
    """What the feed needs of a tail; a fake of it drives the tests."""

    @property
    def status(self) -> TailStatus: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Drawings:
    """Charts and tables of one moment of the feed, each made once for all sessions.

    Building the chart of a symbol takes 50 ms, ten times what sending it takes. What is given is
    shared: nobody may change it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            if key in self._made:
                found: T = self._made[key]
                return found
            made = make()
            if len(self._made) < DRAWINGS_KEPT:
                self._made[key] = made
            return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The feed at one moment, with the instruments made of it, and what was drawn of them."""

    view: View
    now: datetime
    known: tuple[frames.Instrument, ...]
    drawings: Drawings = field(default_factory=Drawings)


class Feed:
    """Buffers behind a lock, filled by one tail that the feed starts and stops."""

    def __init__(
        self,
        open_tail: Callable[[Callable[[TailRecord], None]], RunningTail],
        *,
        broker: str,
        byte_limit: int = BYTE_LIMIT,
    ) -> None:
        self._lock = threading.Lock()
        self._buffers = Buffers(byte_limit=byte_limit)
        self._frozen: Kept | None = None
        self._looking = threading.Lock()
        self._seen: tuple[Kept, int, Look] | None = None
        self._broker = broker
        self._tail = open_tail(self.take)

    @property
    def is_running(self) -> bool:
        return self._tail.status.state != "stopped"

    def start(self) -> None:
        self._tail.start()

    def stop(self) -> None:
        self._tail.stop()

    def take(self, record: TailRecord) -> None:
        """Keep one record; ValueError when it is not what its topic promises."""
        with self._lock:
            self._frozen = None
            self._buffers.take(record)

    def snapshot(self) -> View:
        with self._lock:
            if self._frozen is None:
                self._frozen = self._buffers.freeze()
            kept = self._frozen
        return View(kept=kept, tail=self._tail.status, broker=self._broker)

    def look(self, now: datetime) -> Look:
        """The instruments as of this second: made once, however many sessions ask."""
        view, second = self.snapshot(), int(now.timestamp())
        with self._looking:
            seen = self._seen
            if seen is None or seen[0] is not view.kept or seen[1] != second:
                known = tuple(frames.instruments(view.kept, now))
                seen = (view.kept, second, Look(view=view, now=now, known=known))
                self._seen = seen
            made = seen[2]
        return replace(made, view=view, now=now)


@st.cache_resource(show_spinner=False)
def current_settings() -> Settings:
    """Read once a process."""
    return load()


@st.cache_resource(
    show_spinner=False,
    on_release=lambda feed: feed.stop(),
    validate=lambda feed: feed.is_running,
)
def current_feed() -> Feed:
    """The process's feed: made at the first visit, made again should its thread have ended."""
    settings = current_settings().as_kafka_user("dashboard")
    feed = Feed(
        lambda on_record: Tail(settings, FOLLOWED, on_record=on_record),
        broker=settings.kafka_address,
    )
    feed.start()
    observing.WATCHED.watch(feed.snapshot)
    return feed
