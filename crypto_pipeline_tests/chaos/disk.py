"""A disk that can be full: a file system in memory of a fixed size, else a limit on file sizes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from crypto_pipeline.status import folder_bytes

SIZE = "6g"
# So many bytes of room are left when it is full: none, but for what a page is rounded to.
ROOM = 64 * 1024
TRIES = 20
# Where nothing may be mounted: no file of the services may grow beyond this.
LARGEST_FILE = 16 * 1024


@dataclass
class Disk:
    """`how` says in the report what was done: a mounted `tmpfs`, or a `file-size limit`."""

    folder: Path
    how: str
    pids: Callable[[], Sequence[int]] = tuple
    limited: list[int] = field(default_factory=list)

    def fill(self) -> bool:
        """From now on there is no room; whether that is so for anybody."""
        if self.how == "tmpfs":
            self._shrink()
            return True
        self.limited = []
        for pid in self.pids():
            with suppress(ProcessLookupError, PermissionError):
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (LARGEST_FILE, hard))
                self.limited.append(pid)
        return bool(self.limited)

    def free(self) -> None:
        if self.how == "tmpfs":
            _mount("-o", f"remount,size={SIZE}", str(self.folder))
            return
        for pid in self.limited:
            with suppress(ProcessLookupError, PermissionError):
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))

    def used(self) -> int:
        """Bytes in use by the state."""
        if self.how == "tmpfs":
            found = os.statvfs(self.folder)
            return (found.f_blocks - found.f_bfree) * found.f_frsize
        return folder_bytes(self.folder)

    def _shrink(self) -> None:
        """To what is in use; while that grows the kernel refuses, so it is tried again."""
        for _ in range(TRIES):
            if _mount("-o", f"remount,size={self.used() + ROOM}", str(self.folder)):
                return
        raise AssertionError("the disk could not be filled")


def _mount(*arguments: str) -> bool:
    done = subprocess.run(["mount", *arguments], capture_output=True, check=False)
    return done.returncode == 0


@contextmanager
def a_disk(folder: Path) -> Iterator[Disk]:
    """The folder as a disk of its own for as long as the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    is_mounted = sys.platform == "linux" and _mount(
        "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", str(folder)
    )
    try:
        yield Disk(folder=folder, how="tmpfs" if is_mounted else "file-size limit")
    finally:
        if is_mounted:
            subprocess.run(["umount", str(folder)], check=True)
