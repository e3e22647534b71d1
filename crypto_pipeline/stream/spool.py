"""The write-ahead spool: every poll is on disk before its first message is sent.

One file a poll, named so that names sort by poll time; trimmed after the last
acknowledgement. `limit_bytes` bounds it, torn files included: a full spool refuses, it never
drops what it holds. One process at a time: whoever opens it holds a lock until it closes.
"""

from __future__ import annotations

import errno
import fcntl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from crypto_pipeline.contract.poll import Purpose
from crypto_pipeline.errors import SpoolFullError, StreamError
from crypto_pipeline.settings import Settings
from crypto_pipeline.state_format import open_state
from crypto_pipeline.stream.durable import TEMPORARY, sync_folder, write_durably
from crypto_pipeline.stream.frame import pack, unpack
from crypto_pipeline.stream.publish import Outgoing

ENTRY = ".spool"
TORN = ".torn"
NAME_TIME = "%Y%m%dT%H%M%SZ"
LOCK_SECONDS = 20.0


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One poll's file; entries sort by poll time, then by order of arrival."""

    path: Path

    @property
    def poll_at(self) -> datetime:
        return datetime.strptime(self.path.name.split("-")[0], NAME_TIME).replace(tzinfo=UTC)

    @property
    def purpose(self) -> str:
        return self.path.stem.split("-")[2]

    @property
    def stored_at(self) -> float:
        """When the poll came into the spool (a torn one: was last repaired); seconds since 1970."""
        return self.path.stat().st_mtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a file holds; without `final` its end was lost; `tear` is a sentence on what was."""

    messages: tuple[Outgoing, ...]
    final: Outgoing | None
    tear: str | None


class Spool:
    """A folder of polls that no broker has acknowledged yet."""

    def __init__(
        self, folder: Path, *, limit_bytes: int, lock_seconds: float = LOCK_SECONDS
    ) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder, lock_seconds)
        self._fresh: tuple[Entry, Stored] | None = None
        self._adopt_unfinished()

    @classmethod
    def open(cls, settings: Settings) -> Spool:
        open_state(settings)
        return cls(spool_folder(settings), limit_bytes=spool_limit_bytes(settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._lock.close()

    def append(
        self,
        messages: Sequence[Outgoing],
        final: Outgoing,
        *,
        poll_at: datetime,
        purpose: Purpose = "minute",
    ) -> Entry:
        """Make one poll durable; `final` is the record to send after all others."""
        content = pack([*messages, final], has_final=True)
        used = self.used_bytes()
        if used + len(content) > self.limit_bytes:
            raise self._full(f"{used:,} of {self.limit_bytes:,} bytes", poll_at, len(messages))
        path = self._next_path(poll_at, purpose)
        try:
            write_durably(path, content)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise self._full("the disk has no room", poll_at, len(messages)) from error
        entry = Entry(path)
        self._fresh = (entry, Stored(messages=tuple(messages), final=final, tear=None))
        return entry

    def pending(self) -> list[Entry]:
        """All polls that wait, oldest first."""
        return sorted(Entry(path) for path in self.folder.glob(f"*{ENTRY}"))

    def is_whole(self, entry: Entry) -> bool:
        """Whether nothing of the poll is missing; looks without repairing."""
        found = unpack(entry.path.read_bytes())
        return found.fault is None and found.has_final

    def read(self, entry: Entry) -> Stored:
        """Give a poll's messages; a damaged file is kept as .torn, its good records replace it.

        What this very process has just made durable is given from memory, once.

        The copy is durable before the original is touched, so a kill in between repeats the
        repair and loses nothing.
        """
        fresh, self._fresh = self._fresh, None
        if fresh is not None and fresh[0] == entry:
            return fresh[1]
        content = entry.path.read_bytes()
        found = unpack(content)
        final = found.messages[-1] if found.has_final else None
        messages = found.messages[:-1] if final else found.messages
        if found.fault is None:
            return Stored(messages=messages, final=final, tear=None)
        aside = self._set_aside(entry, content)
        write_durably(entry.path, pack(found.messages, has_final=found.has_final))
        tear = (
            f"Spool file {entry.path.name} is torn: {found.fault}. {len(found.messages)} of "
            f"{found.expected or 'an unknown number of'} records are kept and sent; the file "
            f"as found is {aside}."
        )
        return Stored(messages=messages, final=final, tear=tear)

    def trim(self, entry: Entry) -> None:
        """Forget a poll whose last message was acknowledged."""
        entry.path.unlink(missing_ok=True)
        sync_folder(self.folder)

    def torn_files(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{TORN}"))

    def used_bytes(self) -> int:
        kinds = (ENTRY, TORN)
        return sum(p.stat().st_size for p in self.folder.iterdir() if p.suffix in kinds)

    def _set_aside(self, entry: Entry, content: bytes) -> Path:
        """Copy a damaged file durably; another damage of the same poll gets another name."""
        number = 1
        aside = entry.path.with_suffix(TORN)
        while aside.exists() and aside.read_bytes() != content:
            number += 1
            aside = entry.path.with_suffix(f".{number}{TORN}")
        write_durably(aside, content)
        return aside

    def _next_path(self, poll_at: datetime, purpose: Purpose) -> Path:
        moment = poll_at.astimezone(UTC).strftime(NAME_TIME)
        taken = [int(path.name.split("-")[1]) for path in self.folder.glob(f"{moment}-*")]
        number = max(taken, default=0) + 1
        return self.folder / f"{moment}-{number:06d}-{purpose}{ENTRY}"

    def _adopt_unfinished(self) -> None:
        """A kill before the rename leaves a temporary file: its whole records still count.

        Beside a file of its own name it is a half-done repair, which starts again from that one.
        """
        for path in self.folder.glob(f"*{ENTRY}{TEMPORARY}"):
            if path.with_suffix("").exists():
                path.unlink()
            else:
                path.replace(path.with_suffix(""))
        sync_folder(self.folder)

    def _full(self, why: str, poll_at: datetime, count: int) -> SpoolFullError:
        waiting = self.pending()
        since = f" since {waiting[0].poll_at:%Y-%m-%d %H:%M} UTC" if waiting else ""
        return SpoolFullError(
            f"The spool in {self.folder} is full ({why}; {len(waiting)} polls wait{since}). The "
            f"poll of {poll_at:%Y-%m-%d %H:%M} UTC with {count:,} messages is NOT stored and will "
            "be missing. Start Kafka with `make up` to empty it, or raise SPOOL_LIMIT_MB."
        )


def spool_folder(settings: Settings) -> Path:
    return settings.home / "spool"


def spool_limit_bytes(settings: Settings) -> int:
    return settings.spool_limit_mb * 1024 * 1024


def _lock(folder: Path, seconds: float) -> IO[bytes]:
    """Wait for the spool's lock; the kernel frees it when its holder dies."""
    until = time.monotonic() + seconds
    file = (folder / "lock").open("wb")
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= until:
                file.close()
                raise StreamError(
                    f"Another process has been polling with the spool in {folder} for {seconds:g} "
                    "s. Wait for it to finish, or stop it."
                ) from error
            time.sleep(0.05)
        else:
            return file
