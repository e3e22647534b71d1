"""A look at the spool from another process: no lock, no repair, nothing held up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from crypto_pipeline.stream.frame import HEAD, promised
from crypto_pipeline.stream.spool import ENTRY, TORN, Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolState:
    """`oldest_stored_at` is seconds since 1970, None when nothing waits."""

    bytes: int
    polls: int
    messages: int
    torn: int
    oldest_poll_at: datetime | None
    oldest_stored_at: float | None


def look(folder: Path) -> SpoolState:
    """What waits now; a poll that goes out meanwhile is left out."""
    size = messages = torn = 0
    waiting: list[tuple[Entry, float]] = []
    for path in sorted(folder.glob("*")):
        if path.suffix not in (ENTRY, TORN):
            continue
        try:
            state = path.stat()
            if path.suffix == ENTRY:
                with path.open("rb") as file:
                    messages += promised(file.read(HEAD.size))
                waiting.append((Entry(path), state.st_mtime))
        except FileNotFoundError:
            continue
        size += state.st_size
        torn += path.suffix == TORN
    return SpoolState(
        bytes=size,
        polls=len(waiting),
        messages=messages,
        torn=torn,
        oldest_poll_at=waiting[0][0].poll_at if waiting else None,
        oldest_stored_at=min((at for _, at in waiting), default=None),
    )
