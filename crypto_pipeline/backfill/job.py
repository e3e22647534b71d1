"""A long backfill as a list of day's work, of which a file says how far it came."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from crypto_pipeline.backfill.stretch import Stretch
from crypto_pipeline.contract.message import format_time
from crypto_pipeline.stream.durable import write_durably

# Symbols of a day that are fetched, held in memory and published together: about 15 MB.
GROUP = 10


@dataclass(frozen=True, kw_only=True)
class Job:
    """Minutes that open in [start, end); the file is there from the first part to the last.

    The same question finds the same file, so a command that was stopped goes on, and one that
    was finished starts again: its candles are then known, and cost only the requests.
    """

    folder: Path
    source: str
    symbols: tuple[str, ...]
    start: datetime
    end: datetime

    @cached_property
    def file(self) -> Path:
        question = [self.source, *self.symbols, format_time(self.start), format_time(self.end)]
        return self.folder / f"{hashlib.sha256(' '.join(question).encode()).hexdigest()[:16]}.json"

    def parts(self) -> tuple[Stretch, ...]:
        """Day by day, oldest first, and within a day by groups of symbols."""
        return tuple(
            group
            for start, end in _days(self.start, self.end)
            for group in in_groups(Stretch(symbols=tuple(self.symbols), start=start, end=end))
        )

    def done(self) -> frozenset[str]:
        if not self.file.exists():
            return frozenset()
        return frozenset(json.loads(self.file.read_text())["done"])

    def left(self) -> tuple[Stretch, ...]:
        done = self.done()
        return tuple(part for part in self.parts() if _name(part) not in done)

    def note_done(self, part: Stretch) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {
            "source": self.source,
            "symbols": list(self.symbols),
            "from": format_time(self.start),
            "to": format_time(self.end),
            "done": sorted({*self.done(), _name(part)}),
        }
        write_durably(self.file, json.dumps(content, indent=1).encode())

    def finish(self) -> None:
        self.file.unlink(missing_ok=True)


def in_groups(stretch: Stretch) -> Iterator[Stretch]:
    """The same minutes, some symbols at a time."""
    for n in range(0, len(stretch.symbols), GROUP):
        yield replace(stretch, symbols=stretch.symbols[n : n + GROUP])


def _name(part: Stretch) -> str:
    return f"{format_time(part.start)} {part.symbols[0]}"


def _days(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """[start, end) cut at each midnight, UTC."""
    while start < end:
        midnight = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        until = min(end, midnight + timedelta(days=1))
        yield start, until
        start = until


def total_minutes(parts: Sequence[Stretch]) -> int:
    return sum(part.minutes for part in parts)
