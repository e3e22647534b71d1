"""A running `up` as a test sees it: its output, its processes, its end."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from crypto_pipeline.embedded import processes
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.conftest import missing

COMMAND = (
    "import sys; from crypto_pipeline import settings; from crypto_pipeline.embedded.up import up;"
    "sys.exit(up(settings.load()))"
)
UP_SECONDS = 180
# What is in the command line of each service's process.
MARKS = {
    "dashboard": "-m dashboard",
    "broker": "kafka.Kafka",
    "spark": "SparkConnectServer",
    "simulator": "crypto_pipeline.simulator",
    "code-server": "resources.code_server",
    "dagster": "dagster_webserver",
    "dagster-daemon": "dagster._daemon run",
    "metrics": "crypto_pipeline.observed",
}


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


def ports_of(settings: Settings) -> list[int]:
    """Each port on which a running stack listens."""
    return [
        *(settings.kafka_port, settings.kafka_controller_port, settings.spark_port),
        *(settings.simulator_port, settings.code_server_port),
        *(settings.dagster_port, settings.dashboard_port),
        *(settings.metrics_port, settings.dashboard_metrics_port),
    ]


def open_ports(settings: Settings) -> list[int]:
    return [port for port in ports_of(settings) if _answers(port)]


def is_taken(address: str, port: int) -> bool:
    """Whether a listener covers this address; nothing is sent to find out."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return True
    return False


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def other_addresses() -> list[str]:
    """Addresses of this machine that a listener on 127.0.0.1 does not cover, and one on all does.

    On Linux another loopback address is one of them, so that a machine without a network has it.
    """
    found = ["127.0.0.2"] if sys.platform == "linux" else []
    # A datagram socket sends nothing here.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        found.append(str(probe.getsockname()[0]))
    if not found:
        missing("this machine has no address but 127.0.0.1, so who listens beyond is not seen")
    return found


def await_port(port: int, process: subprocess.Popen[bytes], *, seconds: float = 60) -> None:
    """Until something listens there; fails when the process ends or the time is over."""
    end = time.monotonic() + seconds
    while not _answers(port):
        assert process.poll() is None, f"ended with {process.returncode}"
        assert time.monotonic() < end, f"nothing listens on {port} after {seconds:.0f} s"
        time.sleep(0.1)


def path_without(folder: Path, *hidden: str) -> str:
    """A PATH with every command of this machine's but the hidden ones."""
    for place in os.environ["PATH"].split(os.pathsep):
        for command in Path(place).glob("*"):
            link = folder / command.name
            if command.name not in hidden and not link.is_symlink():
                link.symlink_to(command)
    return str(folder)
