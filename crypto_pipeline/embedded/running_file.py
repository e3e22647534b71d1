"""The note of what runs, so that the next `up` can clear what a killed one left behind."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from crypto_pipeline.embedded.processes import Process, alive, family, kill, running
from crypto_pipeline.settings import Settings


def path(settings: Settings) -> Path:
    return settings.state_dir / "running.json"


def write(settings: Settings, processes: Iterable[Process]) -> None:
    """Replace the note in one step; half a note would be worse than an old one."""
    partial = path(settings).with_suffix(".part")
    partial.write_text(json.dumps([asdict(one) for one in processes]))
    partial.rename(path(settings))


def note(supervisor: int, settings: Settings) -> None:
    """Write down every process of the stack, run workers included."""
    write(settings, family([supervisor], running()))


def read(settings: Settings) -> tuple[Process, ...]:
    if not path(settings).exists():
        return ()
    return tuple(Process(**entry) for entry in json.loads(path(settings).read_text()))


def clear_leftovers(settings: Settings) -> int:
    """End what an earlier `up` left, with everything below it; returns how many there were."""
    if not path(settings).exists():
        return 0
    # Only a process that is certainly ours (id and start time) vouches for its relatives.
    ours = family([one.pid for one in alive(read(settings))], running())
    kill(ours)
    path(settings).unlink()
    return len(ours)
