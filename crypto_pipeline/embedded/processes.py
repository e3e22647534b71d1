"""Which processes exist, who started them, and ending those that are ours.

A process id is reused by the system, so a process is known by its id and its start time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
KILL_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """`started` is only good for comparing: ticks since boot on Linux, a date elsewhere."""

    pid: int
    parent: int
    group: int
    started: str


def running() -> dict[int, Process]:
    """Every process that is not a zombie."""
    if (PROC / "self" / "stat").exists():
        found = (_from_proc(folder) for folder in PROC.iterdir() if folder.name.isdigit())
        return {process.pid: process for process in found if process is not None}
    columns = ["ps", "-axo", "pid=,ppid=,pgid=,stat=,lstart="]
    listing = subprocess.run(columns, capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 4) for line in listing.splitlines())
    return {
        int(pid): Process(pid=int(pid), parent=int(parent), group=int(group), started=started)
        for pid, parent, group, state, started in rows
        if not state.startswith("Z")
    }


def family(roots: Iterable[int], known: dict[int, Process]) -> tuple[Process, ...]:
    """The roots, everything below them, and everything in a process group that a root leads."""
    leaders = set(roots)
    found = {pid for pid, one in known.items() if pid in leaders or one.group in leaders}
    while grown := {pid for pid, one in known.items() if one.parent in found} - found:
        found |= grown
    return tuple(known[pid] for pid in sorted(found))


def alive(processes: Iterable[Process]) -> tuple[Process, ...]:
    """Those that still run under the same id with the same start time."""
    known = running()
    return tuple(
        one for one in processes if one.pid in known and known[one.pid].started == one.started
    )


def kill(processes: Iterable[Process], *, seconds: float = KILL_SECONDS) -> tuple[Process, ...]:
    """SIGKILL, and wait until they are gone; returns what refused to go."""
    targets = tuple(processes)
    left = alive(targets)
    end = time.monotonic() + seconds
    while left and time.monotonic() < end:
        for one in left:
            try:
                os.kill(one.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)
        left = alive(targets)
    return left


def _from_proc(folder: Path) -> Process | None:
    """One line of /proc; None when the process ended meanwhile. The name may hold spaces."""
    try:
        fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    state, parent, group, started = fields[0], fields[1], fields[2], fields[19]
    if state in "ZX":
        return None
    return Process(pid=int(folder.name), parent=int(parent), group=int(group), started=started)
