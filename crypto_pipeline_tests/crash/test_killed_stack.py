"""A kill counts where it was meant: at its seam or moment, of its victim, by no one else's hand."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crypto_pipeline_tests.crash import killed_stack as killed_stack_module
from crypto_pipeline_tests.crash.faulty_store import FaultyStore
from crypto_pipeline_tests.crash.feed import Feed
from crypto_pipeline_tests.crash.killed_stack import KilledStack
from crypto_pipeline_tests.crash.own_stack import fresh_settings
from crypto_pipeline_tests.crash.seams import SEAMS, Kill
from crypto_pipeline_tests.crash.worker import Watch
from crypto_pipeline_tests.crash.worker import kill as kill_and_note
from crypto_pipeline_tests.store.proxy import Proxy, Request

SEAM, OTHER = SEAMS[4], SEAMS[5]
AT_SEAM = Kill(victim="worker", seam=SEAM)
AT_ONCE = Kill(victim="worker", after=0.0)


class Played(KilledStack):
    """A stack without servers: `play` is a run, whose child is a process that only sleeps."""

    child: subprocess.Popen[bytes]
    play: Callable[[dict[str, Any]], object] = staticmethod(lambda order: None)

    def _order(self, order: dict[str, Any]) -> int:
        self.play(order)
        return self.child.pid

    def _answer(self, seconds: float) -> dict[str, int] | None:
        code = self.child.poll()
        return None if code is None else {"status": code}

    def dies(self, order: dict[str, Any] | None = None) -> None:
        self.child.kill()
        self.child.wait()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Played]:
    settings = fresh_settings(tmp_path)
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    found = Played(settings=settings, feed=Feed(settings))
    found.child = sleeper()
    yield found
    found.dies()


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def noted(order: dict[str, Any], child: subprocess.Popen[bytes]) -> None:
    kill_and_note({**order, "pid": child.pid})
    child.wait()


def test_a_kill_at_its_seam_is_one(stack: Played) -> None:
    stack.play = lambda order: noted(order, stack.child)
    assert stack.run(AT_SEAM) == "killed"


def test_a_worker_that_died_of_anything_else_was_not_killed_at_its_seam(stack: Played) -> None:
    stack.play = stack.dies
    assert stack.run(AT_SEAM) == "failed"


def test_the_note_of_another_seam_or_of_the_run_before_is_none(stack: Played) -> None:
    note = stack.settings.state_dir / "seam.txt"
    note.write_text(SEAM.name)
    stack.play = stack.dies
    assert stack.run(AT_SEAM) == "failed"
    moment = OTHER.moment
    stack.play = lambda order: noted({**order, "moment": moment}, stack.child)
    stack.child = sleeper()
    assert stack.run(AT_SEAM) == "failed"
    assert note.read_text() == OTHER.name


def test_a_worker_that_is_killed_at_a_random_moment_was_alive_until_then(stack: Played) -> None:
    assert stack.run(AT_ONCE) == "killed"
    assert stack.run(AT_ONCE) == "failed", "it had died before"


def test_a_worker_that_is_killed_for_its_silence_has_failed_and_the_log_says_why(
    stack: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(killed_stack_module, "CYCLE_LIMIT_SECONDS", 0.0)
    assert stack.run(AT_SEAM) == "failed"
    assert stack.child.returncode == -signal.SIGKILL
    assert "was killed: it went on and on" in (stack.settings.state_dir / "worker.log").read_text()


def request_of(table: str) -> Request:
    path = f"/lake/{table}/_delta_log/00000000000000000004.json"
    return Request(method="PUT", path=path, headers={})


def test_a_store_cuts_once_at_the_seam_and_knows_whether_it_did() -> None:
    store = FaultyStore(Proxy(port=1, upstream=2), random.Random(1), is_faulty=False)
    victim = sleeper()
    try:
        store.cut_at(SEAM, victim.pid)
        assert not store.end_cut()
        assert store.proxy.decide(request_of(SEAM.table)) == "pass", "the run is over"
        assert victim.poll() is None
        store.cut_at(SEAM, victim.pid)
        assert store.proxy.decide(request_of(SEAMS[-1].table)) == "pass"
        assert store.proxy.decide(request_of(SEAM.table)) == "lose"
        assert store.end_cut()
        assert victim.wait(10) == -signal.SIGKILL
        store.cut_at(SEAM, victim.pid)
        store.proxy.decide(request_of(SEAM.table))
        assert not store.end_cut(), "nobody was there to be killed"
    finally:
        victim.kill()
        victim.wait()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "table" / "_delta_log").mkdir(parents=True)
    put(tmp_path / "table", "part-0.parquet", f"_delta_log/{0:020}.json")
    return tmp_path / "table"


def put(table: Path, *names: str) -> None:
    for name in names:
        (table / name).write_text(json.dumps({}))


def test_a_moment_is_seen_only_while_it_lasts(table: Path) -> None:
    entry = f"_delta_log/{1:020}.json"
    watch = Watch(table)
    put(table, "part-1.parquet")
    assert watch.comes_to("written")
    put(table, entry)
    assert watch.comes_to("committed")
    assert not watch.comes_to("written"), "its entry is there"
    watch.has_ended.set()
    assert not watch.comes_to("committed"), "the client has heard of it"


def test_a_commit_that_fails_or_writes_no_file_is_not_waited_for(table: Path) -> None:
    watch = Watch(table)
    ended = threading.Timer(0.1, watch.has_ended.set)
    ended.start()
    assert not watch.comes_to("written")
    ended.join()
