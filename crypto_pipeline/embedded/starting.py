"""Start services as soon as what they need is ready, and say when each is up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console

from crypto_pipeline.embedded import running_file
from crypto_pipeline.embedded.running import last_lines, log_file
from crypto_pipeline.embedded.services import Service
from crypto_pipeline.embedded.supervision import Supervisor
from crypto_pipeline.errors import ServiceError
from crypto_pipeline.settings import Settings

PROBE_SECONDS = 0.2


def start_all(
    supervisor: Supervisor,
    services: Sequence[Service],
    settings: Settings,
    *,
    console: Console,
    when_ready: Mapping[str, Callable[[], None]],
) -> None:
    """`when_ready` maps a service to what is done before anything that needs it may start."""
    waiting = list(services)
    begun: dict[str, float] = {}
    ready: set[str] = set()
    while len(ready) < len(services):
        for service in [one for one in waiting if ready.issuperset(one.after)]:
            supervisor.begin(service.name)
            begun[service.name] = time.monotonic()
            waiting.remove(service)
            running_file.note(supervisor.pid, settings)
        for service in services:
            if service.name in begun and service.name not in ready and service.is_ready():
                when_ready.get(service.name, _nothing)()
                ready.add(service.name)
                say_up(service, time.monotonic() - begun[service.name], console=console)
        _check(supervisor, services, begun, ready, settings)
        time.sleep(PROBE_SECONDS)


def say_up(service: Service, seconds: float, *, console: Console) -> None:
    console.print(f"[green]up[/]  {service.name:<15}{seconds:5.1f} s  {service.address}")


def _check(
    supervisor: Supervisor,
    services: Sequence[Service],
    begun: Mapping[str, float],
    ready: set[str],
    settings: Settings,
) -> None:
    states = supervisor.states()
    for service in services:
        if service.name not in begun or service.name in ready:
            continue
        waited = time.monotonic() - begun[service.name]
        has_given_up = states[service.name].name == "FATAL"
        if has_given_up or waited > service.start_seconds:
            how = "ends at once" if has_given_up else f"does not answer after {waited:.0f} s"
            log = log_file(settings, service.name)
            raise ServiceError(
                f"The {service.name} {how}. The end of {log}:\n{last_lines(log)}\n"
                "When this does not explain it, run again with nothing else running."
            )


def _nothing() -> None:
    """For the many services after which there is nothing to do."""
