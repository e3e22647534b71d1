"""A fault says whether there was anything that it was done to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crypto_pipeline import settings as settings_module
from crypto_pipeline_tests.chaos import injecting
from crypto_pipeline_tests.chaos.disk import Disk
from crypto_pipeline_tests.chaos.injecting import Injector
from crypto_pipeline_tests.chaos.kinds import BY_NAME
from crypto_pipeline_tests.chaos.recorder import Recorder
from crypto_pipeline_tests.chaos.schedule import Fault
from crypto_pipeline_tests.chaos.stack import WIRES, Stack
from crypto_pipeline_tests.conftest import free_port


class Played(Stack):
    """A stack of one process, a wire that has harmed `met`, and a market that gave `spoiled`."""

    there: dict[str, int]
    met = 0

    def pids(self) -> dict[str, int]:
        return self.there

    def turn(self, name: str, mode: str) -> None:
        """No wire is there."""

    def harmed(self, name: str) -> int:
        return self.met


@pytest.fixture
def stack(tmp_path: Path) -> Played:
    values = {"STATE_DIR": str(tmp_path), "MARKET": "simulated", "METRICS_PORT": str(free_port())}
    settings = settings_module.load(values, env_file=tmp_path / "no.env")
    found = Played(
        settings=settings, folder=tmp_path, behind=dict.fromkeys((*WIRES, "recorder"), 1), control=0
    )
    found.there = {}
    return found


@pytest.fixture
def injector(stack: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Injector:
    monkeypatch.setattr(injecting, "HIT_SECONDS", 0.1)
    monkeypatch.setattr(injecting, "HEAL_SECONDS", 0.1)
    disk = Disk(folder=tmp_path, how="file-size limit")
    return Injector(stack, Recorder(stack.settings), disk, lambda: None)


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_a_killed_up_has_ended_when_its_recovery_begins(
    injector: Injector, stack: Played, victim: subprocess.Popen[bytes]
) -> None:
    """Or its services, which outlive it for a moment, would be taken for a stack that is up."""
    stack.process = victim
    with injector.injected(Fault(kind=BY_NAME["kill up"], seconds=0.0, dice=0.5)):
        assert victim.returncode == -signal.SIGKILL
    assert stack.has_ended


def hit(injector: Injector, name: str) -> bool:
    fault = Fault(kind=BY_NAME[name], seconds=0.0, dice=0.5)
    with injector.injected(fault):
        pass
    assert injector.hit.keys() == {name}
    return injector.hit[name]


@pytest.mark.parametrize("name", ["kill broker", "stop broker", "pause broker"])
def test_a_signal_hits_a_process_that_is_there(
    name: str, injector: Injector, stack: Played, victim: subprocess.Popen[bytes]
) -> None:
    assert not hit(injector, name), "no broker is there"
    stack.there = {"broker": victim.pid}
    assert hit(injector, name)
    victim.kill()
    victim.wait()
    assert not hit(injector, name), "it has died of something else"


def test_one_that_was_killed_and_not_waited_for_is_nobody(
    injector: Injector, stack: Played, victim: subprocess.Popen[bytes]
) -> None:
    victim.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, victim.pid, os.WEXITED | os.WNOWAIT)
    stack.there = {"broker": victim.pid}
    assert not hit(injector, "kill broker")


def test_a_wire_hits_when_something_came_over_it(injector: Injector, stack: Played) -> None:
    assert not hit(injector, "wire http cut")
    stack.met = 3
    assert hit(injector, "wire http cut")


def test_a_venue_hits_with_answers_that_it_has_spoiled(
    injector: Injector, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled = [{"kind": "429"}, {"kind": "nan"}]
    given: list[dict[str, str]] = []

    def market(path: str, content: Any = None) -> dict[str, list[dict[str, Any]]]:
        if content is not None:
            spoiled.extend(given)
        return {"done": spoiled, "waiting": []}

    monkeypatch.setattr(injector, "_market", market)
    given[:] = [{"kind": "503"}]
    assert not hit(injector, "venue nan"), "the one of before is another's"
    given[:] = [{"kind": "nan"}]
    assert hit(injector, "venue nan")


def test_a_port_is_hit_by_bytes_that_somebody_took(injector: Injector, stack: Played) -> None:
    assert not hit(injector, "hostile metrics")
    with socket.create_server(("127.0.0.1", stack.settings.metrics_port)) as server:
        ending = threading.Event()
        taking = threading.Thread(target=take_all, args=(server, ending))
        taking.start()
        assert hit(injector, "hostile metrics")
        ending.set()
        taking.join(10)


def take_all(server: socket.socket, ending: threading.Event) -> None:
    server.settimeout(0.1)
    while not ending.is_set():
        try:
            connection, _ = server.accept()
        except TimeoutError:
            continue
        connection.close()


def test_a_full_disk_of_nobody_hits_nothing(
    injector: Injector, victim: subprocess.Popen[bytes]
) -> None:
    assert not hit(injector, "disk full")
    injector.disk.pids = lambda: [victim.pid]
    assert hit(injector, "disk full")
