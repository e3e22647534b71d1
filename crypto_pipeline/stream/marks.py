"""What ingestion remembers of a source between two polls, beside the spool.

`marks` are the venue's own signs of change, one a symbol: the next poll compares with them.
`last_poll_at` is the newest minute whose poll record was acknowledged. A file of its own names
the symbols whose first candles were published: the watch-list may grow while we run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from crypto_pipeline.contract.message import format_optional_time, parse_time
from crypto_pipeline.errors import StreamError
from crypto_pipeline.stream.durable import write_durably

# A fetch that ended otherwise is tried again at the next minute.
SETTLED = ("ok", "partial")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    marks: Mapping[str, str]
    last_poll_at: datetime | None


class MarkFile:
    """One source's memory; every change replaces the file as a whole."""

    def __init__(self, folder: Path, source: str) -> None:
        self.folder = folder
        self.source = source

    def read(self) -> Remembered:
        path = _file(self.folder, "marks", self.source)
        if not path.exists():
            return Remembered(marks={}, last_poll_at=None)
        try:
            content = json.loads(path.read_text())
            last = content["last_poll_at"]
            return Remembered(
                marks=dict(content["marks"]),
                last_poll_at=None if last is None else parse_time(last),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StreamError(
                f"{path} is not what ingestion wrote ({error}). Remove it: the next poll then "
                "counts every tick as changed, nothing else is lost."
            ) from error

    def store(self, remembered: Remembered) -> None:
        content = {
            "source": self.source,
            "marks": dict(remembered.marks),
            "last_poll_at": format_optional_time(remembered.last_poll_at),
        }
        write_durably(_file(self.folder, "marks", self.source), json.dumps(content).encode())

    def store_marks(self, marks: Mapping[str, str]) -> None:
        self.store(Remembered(marks=marks, last_poll_at=self.read().last_poll_at))

    def with_history(self) -> frozenset[str]:
        """The symbols whose hours before the first poll were published."""
        path = _file(self.folder, "history", self.source)
        if not path.exists():
            return frozenset()
        try:
            return frozenset(json.loads(path.read_text())["symbols"])
        except (ValueError, KeyError, TypeError) as error:
            raise StreamError(
                f"{path} is not what ingestion wrote ({error}). Remove it: the hours before the "
                "first poll are then fetched again, and known rows are dropped."
            ) from error

    def note_history(self, symbols: Iterable[str]) -> None:
        content = {"source": self.source, "symbols": sorted({*self.with_history(), *symbols})}
        write_durably(_file(self.folder, "history", self.source), json.dumps(content).encode())


def note_published(folder: Path, poll: Mapping[str, Any]) -> None:
    """Remember an acknowledged poll record, whichever source and run it came from."""
    if poll["purpose"] == "minute":
        file = MarkFile(folder, poll["source"])
        last = parse_time(poll["poll_at"])
        file.store(Remembered(marks=file.read().marks, last_poll_at=last))
    elif poll["outcome"] in SETTLED:
        had = set(poll["symbols_asked"]) - set(poll["candles_missed"])
        MarkFile(folder, poll["source"]).note_history(had)


def _file(folder: Path, kind: str, source: str) -> Path:
    return folder / f"{kind}-{hashlib.sha256(source.encode()).hexdigest()[:16]}.json"
