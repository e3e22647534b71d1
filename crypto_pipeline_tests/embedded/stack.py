"""A running `up` as a test sees it: its output, its processes, its end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crypto_pipeline.embedded import processes
from crypto_pipeline.settings import Settings

COMMAND = (
    "import sys; from crypto_pipeline import settings; from crypto_pipeline.embedded.up import up;"
    "sys.exit(up(settings.load()))"
)
UP_SECONDS = 180


@dataclass(frozen=True, kw_only=True)
class Up:
    """A running `up` and what it printed so far."""

    process: subprocess.Popen[bytes]
    output: Path
    settings: Settings

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, pattern: str, *, seconds: float = UP_SECONDS, after: int = 0) -> None:
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text()[after:]):
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < end, self.text()
            time.sleep(0.1)

    def members(self) -> tuple[processes.Process, ...]:
        return processes.family([self.process.pid], processes.running())

    def pid_of(self, mark: str) -> int:
        listing = subprocess.run(
            ["ps", "-axww", "-o", "pid=,args="], capture_output=True, text=True
        )
        members = {one.pid for one in self.members()}
        rows = [line.split(None, 1) for line in listing.stdout.splitlines()]
        found = [int(pid) for pid, args in rows if mark in args and int(pid) in members]
        assert len(found) == 1, (mark, found)
        return found[0]


@contextmanager
def running(settings: Settings, *, variables: Mapping[str, str] | None = None) -> Iterator[Up]:
    """Start `up` in a session of its own; whatever it leaves is killed at the end."""
    output = settings.state_dir / "up.txt"
    with output.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND],
            env={**os.environ, **settings.environment(), **(variables or {})},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    up = Up(process=process, output=output, settings=settings)
    try:
        yield up
    finally:
        left = up.members()
        if process.poll() is None:
            process.terminate()
            process.wait(30)
        processes.kill(left)
