"""A broker, a Spark server and a run worker of one's own that may be killed at any moment."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal

from rich.console import Console

from crypto_pipeline.embedded import jars, java, processes, services
from crypto_pipeline.embedded.running import start, stop, wait_until_ready
from crypto_pipeline.settings import Settings, process_environment
from crypto_pipeline.stream.topics import ensure
from crypto_pipeline_tests.crash.balance import Balance, balance
from crypto_pipeline_tests.crash.faulty_store import FaultyStore
from crypto_pipeline_tests.crash.feed import Feed
from crypto_pipeline_tests.crash.seams import Kill

Outcome = Literal["done", "failed", "killed"]
# A worker whose server is gone asks the one that took its place, and is told that its session
# is another's. One that hears nothing for so long is killed as run monitoring would.
PATIENCE_SECONDS = 30.0
CYCLE_LIMIT_SECONDS = 600.0
# Cycles until the lake has everything: the one that was cut, and what it left.
CYCLES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended; `was_hit` when the victim was killed at its random moment."""

    code: int
    was_hit: bool


@dataclass
class KilledStack:
    """`spark` and `broker` are started again as soon as they are found dead, as `up` does."""

    settings: Settings
    feed: Feed
    store: FaultyStore | None = None
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    worker: subprocess.Popen[bytes] | None = None
    has_new: bool = False

    def up(self) -> None:
        home = java.find()
        jars.install_laptop(self.settings, console=Console(stderr=True))
        services.prepare(self.settings, home)
        self._services = {s.name: s for s in services.table(self.settings, home)}
        self._start_all(["broker", "spark"])
        ensure(self.settings)
        with self._log.open("ab") as log:
            # Unbuffered: what was read ahead would hide from `select`.
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "crypto_pipeline_tests.crash.worker"],
                env={
                    **process_environment(),
                    **self.settings.environment(),
                    **self.settings.store.environment(),
                },
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

    @property
    def _note(self) -> Path:
        """Where a run writes down the seam at which it is about to kill."""
        return self.settings.state_dir / "seam.txt"

    def run(self, kill: Kill | None = None) -> Outcome:
        """One run: `done`, `failed`, or `killed` when the victim died in it by this kill.

        At a seam that takes the note of who killed it there. One that died of anything else, of
        our impatience too, leaves a run that has failed.
        """
        if kill is None:
            return self._outcome(self._await(self._order({})).code, is_killed=False)
        servers = dict(self.running)
        pids = {name: self._pid(name) for name in servers}
        self._note.unlink(missing_ok=True)
        pids["worker"] = child = self._order(self._cut(kill, pids))
        victim = pids[kill.victim]
        if self._is_cut_by_store(kill):
            assert self.store is not None
            self.store.cut_at(kill.seam, victim)
        ended = self._await(child, after=None if kill.seam else kill.after, victim=victim)
        was_hit = ended.was_hit if kill.seam is None else self._was_cut(kill)
        if kill.victim == "worker":
            return self._outcome(ended.code, is_killed=was_hit and ended.code == -signal.SIGKILL)
        is_dead = victim not in processes.running()
        if is_dead and self.running[kill.victim] is servers[kill.victim]:
            servers[kill.victim].wait(PATIENCE_SECONDS)
            self._revive()
        return self._outcome(ended.code, is_killed=was_hit and is_dead)

    def _was_cut(self, kill: Kill) -> bool:
        """Whether the kill came at its seam, by the word of the store or of the run's own hook."""
        if self._is_cut_by_store(kill):
            assert self.store is not None
            return self.store.end_cut()
        assert kill.seam is not None
        return self._note.exists() and self._note.read_text() == kill.seam.name

    def _outcome(self, code: int, *, is_killed: bool) -> Outcome:
        if code == 0:
            self.has_new = False
        if is_killed:
            return "killed"
        return "done" if code == 0 else "failed"

    def _is_cut_by_store(self, kill: Kill) -> bool:
        """A bucket's files cannot be watched; the proxy before it sees each come."""
        return self.store is not None and kill.seam is not None and kill.seam.moment != "before"

    def _cut(self, kill: Kill | None, pids: dict[str, int]) -> dict[str, Any]:
        """What the run does to itself."""
        if kill is None or kill.seam is None or self._is_cut_by_store(kill):
            return {}
        pid = 0 if kill.victim == "worker" else pids[kill.victim]
        seam = {"table": kill.seam.table, "moment": kill.seam.moment}
        return {**seam, "pid": pid, "note": str(self._note)}

    def _await(self, child: int, *, after: float | None = None, victim: int = 0) -> Ended:
        """The run's end; the victim is killed `after` so many seconds, the dead revived."""
        begun = time.monotonic()
        limit = begun + CYCLE_LIMIT_SECONDS
        was_hit = False
        while (answer := self._answer(0.02)) is None:
            if after is not None and time.monotonic() >= begun + after:
                after = None
                was_hit = kill_now(victim)
            if self._revive():
                limit = time.monotonic() + PATIENCE_SECONDS
            if time.monotonic() > limit:
                self._say(f"run {child} was killed: it went on and on and said nothing")
                kill_now(child)
                limit += PATIENCE_SECONDS
        return Ended(code=answer["status"], was_hit=was_hit)

    def _say(self, why: str) -> None:
        with self._log.open("a") as log:
            log.write(f"{why}\n")

    def _revive(self) -> bool:
        """Start what is dead again and wait for it; whether there was any."""
        dead = [name for name, process in self.running.items() if process.poll() is not None]
        self._start_all(dead)
        return bool(dead)

    def _start_all(self, names: list[str]) -> None:
        for name in names:
            self.running[name] = start(self._services[name], self.settings)
        for name in names:
            wait_until_ready(self._services[name], self.running[name], self.settings)

    def _pid(self, name: str) -> int:
        """The process that does the work: the Spark server is the child of its guard."""
        pid = self.running[name].pid
        if name != "spark":
            return pid
        (server,) = (p.pid for p in processes.running().values() if p.parent == pid)
        return server

    def _order(self, order: dict[str, Any]) -> int:
        stdin = self._pipe("stdin")
        stdin.write(json.dumps(order).encode() + b"\n")
        stdin.flush()
        answer = self._answer(60)
        assert answer is not None, "the worker does not answer"
        return answer["pid"]

    def _answer(self, seconds: float) -> dict[str, int] | None:
        out = self._pipe("stdout")
        if not select.select([out], [], [], seconds)[0]:
            return None
        line = out.readline()
        assert line, f"the worker ended: {self._log.read_text()[-3000:]}"
        return dict(json.loads(line))

    def _pipe(self, name: str) -> IO[bytes]:
        assert self.worker is not None
        return getattr(self.worker, name)  # type: ignore[no-any-return]

    def drain(self) -> None:
        """Cycles without a kill until one has gone through from end to end."""
        for _ in range(CYCLES):
            if self.run() == "done":
                return
        raise AssertionError(f"no cycle went through in {CYCLES}: {self._log.read_text()[-3000:]}")

    def balance(self) -> Balance:
        """Drain, count every layer, and let the audit compare all values with what they must be."""
        self.drain()
        found = balance(self._behind_the_proxy(), self.feed.facts)
        code = self._await(self._order({"act": "audit"})).code
        assert code == 0, f"the audit is not clean: {self._log.read_text()[-5000:]}"
        return found

    def tidy(self) -> None:
        """Compact, or each cycle would read one file more of each table than the one before."""
        code = self._await(self._order({"act": "tidy"})).code
        # What fails in a bucket that is away is due again, as upkeep is.
        assert code == 0 or self.store is not None, self._log.read_text()[-3000:]

    def _behind_the_proxy(self) -> Settings:
        if self.store is None:
            return self.settings
        direct = replace(self.settings.store, endpoint=self.store.behind)
        return replace(self.settings, store=direct)


def kill_now(pid: int) -> bool:
    """Whether there was somebody to kill."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


@contextmanager
def killed_stack(settings: Settings, store: FaultyStore | None = None) -> Iterator[KilledStack]:
    stack = KilledStack(settings=settings, feed=Feed(settings), store=store)
    try:
        stack.up()
        stack.send_minute()
        stack.send_minute()
        stack.drain()
        yield stack
    finally:
        stack.down()
