"""Files that are wholly there or not at all, also after a power cut."""

from __future__ import annotations

import os
from pathlib import Path

TEMPORARY = ".tmp"


def write_durably(path: Path, content: bytes) -> None:
    """Write beside, fsync, rename, fsync the folder: after this returns the disk has it.

    What was written is removed when the disk refuses it, so a full disk is not made fuller.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in a folder last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
