"""Run a few of the laptop's services for as long as a block lasts: `make once` and the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from crypto_pipeline.embedded import jars, java, preflight, spark_guard, up_lock
from crypto_pipeline.embedded import services as stack
from crypto_pipeline.errors import ServiceError
from crypto_pipeline.settings import Settings, process_environment

STOP_SECONDS = 8.0
LAST_LINES = 12


@contextmanager
def services(
    settings: Settings,
    names: Sequence[str] = ("broker", "spark"),
    *,
    console: Console | None = None,
) -> Iterator[None]:
    """Start what is named, unless this folder's `make up` runs it; stop only that, by process id.

    with services(settings, ["broker", "spark"]):
        ...
    """
    home = java.find()
    jars.install_laptop(settings, console=console or Console(stderr=True))
    stack.prepare(settings, home)
    wanted = [service for service in stack.table(settings, home) if service.name in names]
    if up_lock.is_held(settings):
        wanted = [service for service in wanted if not service.is_ready()]
    preflight.check_ports(wanted)
    if "spark" in {service.name for service in wanted}:
        spark_guard.check_free(settings)
    started: list[subprocess.Popen[bytes]] = []
    try:
        for service in wanted:
            started.append(start(service, settings))
        for service, process in zip(wanted, started, strict=True):
            wait_until_ready(service, process, settings)
        yield
    finally:
        stop(started)


def log_file(settings: Settings, name: str) -> Path:
    return settings.home / "logs" / f"{name}.log"


def last_lines(file: Path, count: int = LAST_LINES) -> str:
    """The end of a log, read without loading it all."""
    if not file.exists():
        return "(it wrote no log)"
    with file.open("rb") as log:
        log.seek(max(0, file.stat().st_size - 200 * count))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-count:])


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Last started first; each leads a group of its own, whose stragglers are killed."""
    for process in reversed(processes):
        if process.poll() is None:
            process.terminate()
    end = time.monotonic() + STOP_SECONDS
    for process in reversed(processes):
        try:
            process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def start(service: stack.Service, settings: Settings) -> subprocess.Popen[bytes]:
    """Start one service in a process group of its own, its output at the end of its log."""
    file = log_file(settings, service.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as log:
        return subprocess.Popen(
            service.launch.argv,
            cwd=service.launch.cwd,
            env={**process_environment(), **service.launch.env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until_ready(
    service: stack.Service, process: subprocess.Popen[bytes], settings: Settings
) -> None:
    """Raises ServiceError with its last lines when it ends or its time to start is over."""
    end = time.monotonic() + service.start_seconds
    while not service.is_ready():
        if process.poll() is not None or time.monotonic() > end:
            how = "did not answer" if process.poll() is None else f"ended ({process.returncode})"
            file = log_file(settings, service.name)
            raise ServiceError(
                f"{service.name} {how} while starting. Look into {file}; its last lines:\n"
                f"{last_lines(file)}"
            )
        time.sleep(0.1)
