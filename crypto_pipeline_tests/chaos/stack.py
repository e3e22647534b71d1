"""The laptop stack as a child process behind wires, and what is seen of it from outside."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from crypto_pipeline import settings as settings_module
from crypto_pipeline.embedded import java, processes
from crypto_pipeline.embedded.services import Service
from crypto_pipeline.lake import log
from crypto_pipeline.settings import Secret, Settings
from crypto_pipeline.simulator.clock import ClockMapping, real_now_ms
from crypto_pipeline.stream.spool import spool_folder
from crypto_pipeline.stream.spool_state import look
from crypto_pipeline_tests.chaos import crowded, up, wire
from crypto_pipeline_tests.conftest import PORT_NAMES, ROOT, free_port
from crypto_pipeline_tests.embedded.stack import MARKS
from crypto_pipeline_tests.store.server import Store

# Two cores take a poll each twelve seconds beside the cycles and the faults.
SPEED = 5
SYMBOLS = "BTC-USDT,ETH-USDT,SOL-USDT"
START_SECONDS = 300
WIRES = ("kafka", "spark", "http")
# Before the object store, where the lake is in one.
STORE_WIRE = "s3"


@dataclass
class Stack:
    """One `up` in a state folder of its own; `ended` counts how often it gave up by itself."""

    settings: Settings
    folder: Path
    behind: dict[str, int]
    control: int
    variables: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    wires: subprocess.Popen[bytes] | None = None

    @property
    def direct(self) -> Settings:
        """Settings that reach the servers themselves, no wire between."""
        hidden = up.behind(self.settings, self.behind)
        store = self.settings.store
        if STORE_WIRE in self.behind:
            store = replace(store, endpoint=f"http://127.0.0.1:{self.behind[STORE_WIRE]}")
        kafka = f"127.0.0.1:{self.behind['recorder']}"
        return replace(hidden, kafka_bootstrap=kafka, store=store)

    @property
    def output(self) -> Path:
        return self.folder / "up.txt"

    @property
    def answers(self) -> Path:
        """Each answer that the market gave, a JSON line each."""
        return self.folder / "answers.jsonl"

    def services(self) -> tuple[Service, ...]:
        """To be asked whether they are ready; what starts them needs a token, which is not ours."""
        given = replace(self.settings, spark_token_setting=Secret("not shown"))
        return up.table(given, java.find(), self.behind)

    def begin(self) -> None:
        """Start `up` without waiting."""
        with self.output.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "crypto_pipeline_tests.chaos.up"],
                cwd=ROOT,
                env={
                    **os.environ,
                    **self.settings.environment(),
                    **self.variables,
                    "PYTHONPATH": os.pathsep.join(
                        filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
                    ),
                    up.VARIABLE: json.dumps(self.behind),
                },
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start(self) -> None:
        """Start `up` and wait until it has said that everything is up."""
        seen = len(self.text())
        self.begin()
        end = time.monotonic() + START_SECONDS
        while "Ctrl-C stops all" not in self.text()[seen:]:
            assert not self.has_ended, self.text()[seen:][-3000:]
            assert time.monotonic() < end, self.text()[seen:][-3000:]
            time.sleep(0.2)

    def stop(self) -> None:
        """As Ctrl-C does it; whatever is left is killed."""
        if self.process is None:
            return
        left = self.members()
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(40)
        processes.kill(left)
        self.process.wait(10)

    @property
    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def text(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def members(self) -> tuple[processes.Process, ...]:
        assert self.process is not None
        return processes.family([self.process.pid], processes.running())

    def turn(self, name: str, mode: str) -> None:
        """Change a wire."""
        with socket.create_connection(("127.0.0.1", self.control), timeout=10) as connection:
            connection.sendall(f"{name} {mode}\n".encode())
            assert connection.recv(8) == b"ok\n"

    def harmed(self, name: str) -> int:
        """What a wire has harmed since it was last turned to a mode that harms."""
        with socket.create_connection(("127.0.0.1", self.control), timeout=10) as connection:
            connection.sendall(f"{name} harmed\n".encode())
            return int(connection.recv(32))

    # What can be seen.

    def pids(self) -> dict[str, int]:
        """Each service's process, and `supervisor` and `guard`; one that is away is left out."""
        found: dict[str, int] = {}
        for one in self.members():
            line = command_line(one.pid)
            for name, mark in (*MARKS.items(), ("simulator", crowded.__name__)):
                if mark in line and "start_launch" not in line:
                    found.setdefault(name, one.pid)
            if "supervisor.supervisord" in line:
                found["supervisor"] = one.pid
            if "embedded.spark_guard" in line:
                found["guard"] = one.pid
        return found

    def run_workers(self) -> list[int]:
        """Processes of Dagster runs: what the code server's fork server has forked."""
        known = processes.running()
        code_server = self.pids().get("code-server")
        if code_server is None:
            return []
        below = processes.family([code_server], known)
        servers = {
            one.pid
            for one in below
            if one.parent == code_server and "forkserver" in command_line(one.pid)
        }
        return [one.pid for one in below if one.parent in servers]

    def is_up(self) -> bool:
        """Every service runs under the supervisor, none is stopped, and each says it is ready."""
        if self.has_ended:
            return False
        pids = self.pids()
        if not {*MARKS, "supervisor"} <= set(pids):
            return False
        if any(state_of(pid) in "TZX" for pid in pids.values()):
            return False
        return all(service.is_ready() for service in self.services())

    def market_now(self) -> datetime:
        """The simulated instant, by the file that the market's clock is kept in."""
        file = self.settings.home / "simulator" / "clock.json"
        mapping = ClockMapping(**json.loads(file.read_text())["mapping"])
        return datetime.fromtimestamp(mapping.simulated(real_now_ms()) / 1000, UTC)

    def newest_origin(self) -> datetime | None:
        """The end of the newest minute that a committed forecast knows."""
        entry = log.last_commit(f"{self.settings.lake_root}/predictions/forecasts")
        newest = None if entry is None else entry.outputs["predictions/forecasts"][2]
        if newest is None:
            return None
        return datetime.fromtimestamp(newest, UTC) + timedelta(minutes=1)

    def spooled(self) -> int:
        folder = spool_folder(self.settings)
        return look(folder).polls if folder.exists() else 0


def command_line(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def state_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return "X"


def signal_to(pid: int, number: signal.Signals) -> bool:
    """Whether somebody was there to be sent it."""
    is_there = state_of(pid) not in "ZX"
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return is_there
    return False


@contextmanager
def wired_stack(
    folder: Path, state: Path, *, store: Store | None = None, **options: str
) -> Iterator[Stack]:
    """Wires that run, and a stack that is not started yet; both are ended with the block."""
    values = {name: str(free_port()) for name in PORT_NAMES}
    values |= {
        "STATE_DIR": str(state),
        "MARKET": "simulated",
        "SYMBOLS": SYMBOLS,
        "SIMULATOR_SPEED": str(SPEED),
        "HISTORY_HOURS": "2",
        **options,
    }
    behind = {name: free_port() for name in (*WIRES, "recorder")}
    if store is not None:
        behind[STORE_WIRE] = store.port
        values |= replace(store, port=free_port()).settings("chaos")
    settings = settings_module.load(values, env_file=folder / "no.env")
    stack = Stack(settings=settings, folder=folder, behind=behind, control=free_port())
    specification = folder / "wires.json"
    specification.write_text(json.dumps(_specification(stack)))
    stack.wires = subprocess.Popen(
        [sys.executable, "-m", wire.__name__, str(specification)], cwd=ROOT
    )
    try:
        _await_port(stack.control, stack.wires)
        yield stack
    finally:
        stack.stop()
        stack.wires.kill()
        stack.wires.wait()


def _specification(stack: Stack) -> dict[str, object]:
    public = {
        "kafka": stack.settings.kafka_port,
        "spark": stack.settings.spark_port,
        "http": stack.settings.simulator_port,
    }
    if STORE_WIRE in stack.behind:
        public[STORE_WIRE] = urlsplit(stack.settings.store.endpoint).port
    routes: Sequence[dict[str, object]] = [
        {"name": name, "public": port, "behind": stack.behind[name]}
        for name, port in public.items()
    ]
    return {
        "control": stack.control,
        "routes": [
            {**route, "file": str(stack.answers)} if route["name"] == "http" else route
            for route in routes
        ],
    }


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "the wires ended"
            assert time.monotonic() < end, "the wires do not answer"
            time.sleep(0.05)
        else:
            return
