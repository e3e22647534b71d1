"""A broker, a Spark server and a run worker of one's own that may be killed at any moment."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from crypto_pipeline.embedded import jars, java, services
from crypto_pipeline.embedded.running import start, stop, wait_until_ready
from crypto_pipeline.settings import Settings, process_environment
from crypto_pipeline.stream.topics import ensure
from crypto_pipeline_tests.crash.balance import Balance, balance
from crypto_pipeline_tests.crash.feed import Feed
from crypto_pipeline_tests.crash.seams import Seam, Victim

# A worker whose server is gone asks the one that took its place, and is told that its session
# is another's. One that hears nothing for so long is killed as run monitoring would.
PATIENCE_SECONDS = 120.0
CYCLE_LIMIT_SECONDS = 900.0
# Cycles until the lake has everything: the one that was cut, and what it left.
CYCLES = 6


@dataclass
class KilledStack:
    """`spark` and `broker` are started again as soon as they are found dead, as `up` does."""

    settings: Settings
    feed: Feed
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    worker: subprocess.Popen[bytes] | None = None
    has_new: bool = False

    def up(self) -> None:
        home = java.find()
        jars.install_laptop(self.settings, console=Console(stderr=True))
        services.prepare(self.settings, home)
        self._services = {s.name: s for s in services.table(self.settings, home)}
        for name in ("broker", "spark"):
            self._start(name)
        for name in ("broker", "spark"):
            self._wait(name)
        ensure(self.settings)
        with self._log.open("ab") as log:
            # Unbuffered: what was read ahead would hide from `select`.
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "crypto_pipeline_tests.crash.worker"],
                env={**process_environment(), **self.settings.environment()},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
            )

    def down(self) -> None:
        if self.worker is not None:
            self.worker.kill()
            self.worker.wait()
            self._pipe("stdin").close()
            self._pipe("stdout").close()
        stop(list(self.running.values()))

    @property
    def _log(self) -> Path:
        return self.settings.state_dir / "worker.log"

    def send_minute(self) -> None:
        self.feed.send_minute()
        self.has_new = True

    def _start(self, name: str) -> None:
        self.running[name] = start(self._services[name], self.settings)

    def _wait(self, name: str) -> None:
        wait_until_ready(self._services[name], self.running[name], self.settings)

    def cut(self, seam: Seam, victim: Victim) -> bool:
        """Run until the victim dies at the seam; False when the run went past without it."""
        pid = 0 if victim == "worker" else self.running[victim].pid
        code = self.cycle({"table": seam.table, "moment": seam.moment, "pid": pid}, victim=victim)
        return code == "killed"

    def cut_after(self, seconds: float, victim: Victim) -> bool:
        """Kill the victim so long after the run began, wherever it is; False if it had ended."""
        return self.cycle({}, victim=victim, after=seconds) == "killed"

    def cycle(
        self, order: dict[str, Any], *, victim: Victim | None = None, after: float | None = None
    ) -> str:
        """One run: `done`, `failed`, or `killed` when the victim died in it."""
        before = {name: process.pid for name, process in self.running.items()}
        child = self._order(order)["pid"]
        begun, status, deaths = time.monotonic(), None, 0
        limit = begun + CYCLE_LIMIT_SECONDS
        while status is None:
            if after is not None and time.monotonic() >= begun + after:
                after = None
                assert victim is not None
                with suppress(ProcessLookupError):
                    os.kill(child if victim == "worker" else before[victim], signal.SIGKILL)
            dead = self._revive()
            deaths += dead
            if dead:
                limit = time.monotonic() + PATIENCE_SECONDS
            if time.monotonic() > limit:
                os.kill(child, signal.SIGKILL)
                limit += PATIENCE_SECONDS
            status = self._answer(0.02)
        deaths += self._revive()
        code = status["status"]
        died = code == -signal.SIGKILL if victim == "worker" else bool(deaths)
        if victim is not None and died:
            return "killed"
        if code == 0:
            self.has_new = False
        return "done" if code == 0 else "failed"

    def _revive(self) -> int:
        """Start what is dead again and wait for it; how many there were."""
        dead = [name for name, process in self.running.items() if process.poll() is not None]
        for name in dead:
            self._start(name)
        for name in dead:
            self._wait(name)
        return len(dead)

    def _order(self, order: dict[str, Any]) -> dict[str, int]:
        stdin = self._pipe("stdin")
        stdin.write(json.dumps(order).encode() + b"\n")
        stdin.flush()
        answer = self._answer(60)
        assert answer is not None, "the worker does not answer"
        return answer

    def _answer(self, seconds: float) -> dict[str, int] | None:
        out = self._pipe("stdout")
        if not select.select([out], [], [], seconds)[0]:
            return None
        line = out.readline()
        assert line, f"the worker ended: {(self.settings.state_dir / 'worker.log').read_text()}"
        return dict(json.loads(line))

    def _pipe(self, name: str) -> IO[bytes]:
        assert self.worker is not None
        return getattr(self.worker, name)  # type: ignore[no-any-return]

    def drain(self) -> None:
        """Cycles without a kill until one has gone through from end to end."""
        for _ in range(CYCLES):
            if self.cycle({}) == "done":
                return
        log = self._log.read_text()
        raise AssertionError(f"no cycle went through in {CYCLES}: {log[-3000:]}")

    def balance(self) -> Balance:
        """Drain, compute gold once more from the whole of silver, and compare every layer."""
        self.drain()
        again = Path(self.settings.lake_root).parent / f"again-{time.monotonic_ns()}"
        shutil.copytree(f"{self.settings.lake_root}/silver", again / "silver")
        order = {"recompute": True, "settings": {"LAKE_ROOT": str(again)}}
        assert self.cycle(order) == "done"
        found = balance(self.settings, self.feed.facts, str(again))
        shutil.rmtree(again)
        return found


@contextmanager
def killed_stack(settings: Settings) -> Iterator[KilledStack]:
    stack = KilledStack(settings=settings, feed=Feed(settings))
    try:
        stack.up()
        stack.send_minute()
        stack.send_minute()
        stack.drain()
        yield stack
    finally:
        stack.down()
