"""One `up` a state folder: an advisory lock that the system drops when its holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from crypto_pipeline.errors import MachineError
from crypto_pipeline.settings import Settings


@contextmanager
def hold(settings: Settings) -> Iterator[None]:
    file = settings.state_dir / "up.lock"
    with file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise MachineError(
                f"`make up` already runs in this folder as process {lock.read().strip()}. Use "
                "that one, stop it with Ctrl-C, or set STATE_DIR and other ports for a second."
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def is_held(settings: Settings) -> bool:
    """Whether a stack of this folder runs, so that its services may be used."""
    file = settings.state_dir / "up.lock"
    if not file.exists():
        return False
    with file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
