"""Stop the stack in order and within a time, then make sure that nothing of it is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from http.client import HTTPException
from xmlrpc.client import Error

from rich.console import Console

from crypto_pipeline.embedded import processes
from crypto_pipeline.embedded.processes import Process
from crypto_pipeline.embedded.services import Service
from crypto_pipeline.embedded.supervision import Supervisor
from crypto_pipeline.errors import ServiceError

TOTAL_SECONDS = 16.0
ENDED = ("STOPPED", "EXITED", "FATAL", "UNKNOWN")


def stop_all(
    supervisor: Supervisor,
    services: Sequence[Service],
    noted: Sequence[Process],
    *,
    console: Console,
    is_hurried: Callable[[], bool],
) -> bool:
    """True when nothing is left. `noted` are processes known from before, for a dead supervisor."""
    end = time.monotonic() + TOTAL_SECONDS
    known = processes.running()
    roots = [supervisor.pid, *(one.pid for one in processes.alive(noted))]
    ours = {one.pid: one for one in processes.family(filter(None, roots), known)}
    if supervisor.is_alive():
        try:
            _in_order(supervisor, services, end=end, is_hurried=is_hurried)
        except (OSError, HTTPException, Error, ServiceError) as error:
            console.print(f"The supervisor does not answer ({error}); its services are killed.")
    # Processes that were started meanwhile are found through their parents and groups.
    ours |= {one.pid: one for one in processes.family(ours, processes.running())}
    supervisor.stop(seconds=0.1 if is_hurried() else max(0.5, end - time.monotonic()))
    left = processes.kill(ours.values())
    for one in left:
        console.print(f"[red]Process {one.pid} does not end.[/] Look at it with `ps -p {one.pid}`.")
    return not left


def _in_order(
    supervisor: Supervisor,
    services: Sequence[Service],
    *,
    end: float,
    is_hurried: Callable[[], bool],
) -> None:
    """A service is asked to end once everything that needs it has ended."""
    asked: set[str] = set()
    while time.monotonic() < end and not is_hurried():
        states = supervisor.states()
        going = {service.name for service in services if states[service.name].name not in ENDED}
        if not going:
            return
        needed = {name for service in services if service.name in going for name in service.after}
        for name in going - needed - asked:
            supervisor.end(name)
            asked.add(name)
        time.sleep(0.1)
