"""A poller that kills itself: `python -m crypto_pipeline_tests.crash.poller STEP MINUTE`.

The real ingestion of one minute against real servers. At the named step the process gets
SIGKILL from itself, so nothing is flushed, closed or caught. STEP `none` runs to the end.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from crypto_pipeline import settings as settings_module
from crypto_pipeline.source.market import venue_for
from crypto_pipeline.stream import deliver as deliver_module
from crypto_pipeline.stream import durable, ingest
from crypto_pipeline.stream.publish import Publisher
from crypto_pipeline.stream.spool import Spool
from crypto_pipeline.stream.topics import open_ready_producer


@dataclass(frozen=True)
class FixedClock:
    """Stands at the minute that is polled, so that a second try polls the same one."""

    at: datetime

    def now(self) -> datetime:
        return self.at + timedelta(seconds=5)

    def sleep(self, seconds: float) -> None:
        """Nobody waits: time stands."""


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str) -> None:
    setattr(owner, name, die)


def after(owner: Any, name: str, *, calls: int = 1) -> None:
    """Let the call through so many times and die as the last returns."""
    original, left = getattr(owner, name), [calls]

    def wrapped(*arguments: Any, **options: Any) -> Any:
        result = original(*arguments, **options)
        left[0] -= 1
        if left[0] == 0:
            die()
        return result

    setattr(owner, name, wrapped)


def half_written(path: Any, content: bytes) -> None:
    """As if the machine had gone while the spool file was being written."""
    path.with_name(path.name + durable.TEMPORARY).write_bytes(content[: len(content) // 2])
    die()


def half_sent(self: Publisher, messages: Any, until: float) -> Any:
    """Half of the facts are acknowledged, the rest was never handed over."""
    SEND(self, messages[: len(messages) // 2], until)[0][-1].get(timeout=10)
    die()


SEND = Publisher._send
STEPS: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "before the spool": lambda: before(Spool, "append"),
    "half a spool file": lambda: setattr(
        sys.modules[Spool.__module__], "write_durably", half_written
    ),
    "before the rename": lambda: before(type(durable.Path()), "replace"),
    "after the spool": lambda: after(Spool, "append"),
    "half of the facts sent": lambda: setattr(Publisher, "_send", half_sent),
    "all facts sent": lambda: after(Publisher, "_send"),
    "facts acknowledged": lambda: after(Publisher, "publish"),
    "poll record sent": lambda: after(Publisher, "_send", calls=2),
    "poll record acknowledged": lambda: after(Publisher, "publish", calls=2),
    "before the trim": lambda: before(Spool, "trim"),
    "after the mark": lambda: after(deliver_module, "note_published"),
    "after the trim": lambda: after(Spool, "trim"),
}


def main(step: str, minute: str) -> None:
    settings = settings_module.load()
    clock = FixedClock(datetime.fromisoformat(minute).astimezone(UTC))
    venue = venue_for(settings)
    with (
        Spool.open(settings) as spool,
        Publisher(settings, connect=open_ready_producer) as publisher,
    ):
        STEPS[step]()
        ingest.ingest_minute(settings, venue=venue, clock=clock, publisher=publisher, spool=spool)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
