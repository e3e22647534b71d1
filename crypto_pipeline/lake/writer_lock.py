"""One process of a machine writes a lake at a time: cycles, replays and rebuilds wait in line.

An advisory lock that the system drops when its holder dies. Two writers of one stage would each
commit a part of one batch with a range of its own. Upkeep takes it too, and does not wait.
"""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from crypto_pipeline.errors import LakeError

NAME = "lake-writer.lock"
WAIT_SECONDS = 600.0
STEP_SECONDS = 0.2


@dataclass
class WriterLock:
    """Held from `take` to `release`; the file names its holder."""

    file: IO[str]

    def release(self) -> None:
        self.file.close()


def take(path: Path, *, wait_seconds: float = WAIT_SECONDS) -> WriterLock:
    """Wait for the lock; raises LakeError with the holder's process id when it stays taken."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() < deadline:
                time.sleep(STEP_SECONDS)
                continue
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise LakeError(
                f"Process {holder} has been writing this lake for {wait_seconds:.0f} s or more "
                f"({path}). Wait until it has ended, or stop it: its batch is repeated."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        return WriterLock(file)
