"""While the stack runs: notice a service that ended, say so, and give up when it keeps ending."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from crypto_pipeline.embedded import running_file
from crypto_pipeline.embedded.running import last_lines, log_file
from crypto_pipeline.embedded.services import Service
from crypto_pipeline.embedded.starting import say_up
from crypto_pipeline.embedded.supervision import State, Supervisor
from crypto_pipeline.errors import ServiceError
from crypto_pipeline.settings import Settings

LOOK_SECONDS = 1.0


class Watch:
    """Compares what supervisord says now with what it said a second ago."""

    def __init__(
        self,
        supervisor: Supervisor,
        services: Sequence[Service],
        settings: Settings,
        *,
        console: Console,
    ) -> None:
        self._supervisor = supervisor
        self._services = {service.name: service for service in services}
        self._settings = settings
        self._console = console
        self._seen = supervisor.states()
        self._down_since: dict[str, float] = {}
        self._can_note = True

    def watch(self) -> None:
        """Until a signal, or an error that ends the stack."""
        while True:
            self.look()
            time.sleep(LOOK_SECONDS)

    def look(self) -> None:
        states = self._supervisor.states()
        for name, state in states.items():
            self._compare(state, self._seen[name])
        self._seen = states
        for name in [name for name in self._down_since if self._services[name].is_ready()]:
            if states[name].name in ("STARTING", "RUNNING"):
                seconds = time.monotonic() - self._down_since.pop(name)
                say_up(self._services[name], seconds, console=self._console)
        self._note()

    def _note(self) -> None:
        """On a full disk the note of before stands: a stack that runs is not ended for it."""
        try:
            running_file.note(self._supervisor.pid, self._settings)
        except OSError as error:
            if self._can_note:
                self._console.print(f"[yellow]What runs cannot be noted: {escape(str(error))}[/]")
            self._can_note = False
        else:
            self._can_note = True

    def _compare(self, state: State, before: State) -> None:
        name = state.service
        log = log_file(self._settings, name)
        if state.name == "FATAL":
            raise ServiceError(
                f"The {name} keeps ending, so everything was stopped. The end of {log}:\n"
                f"{last_lines(log)}"
            )
        has_changed = before.pid not in (0, state.pid) or (
            state.name in ("EXITED", "BACKOFF") and before.name != state.name
        )
        if has_changed and name not in self._down_since:
            self._down_since[name] = time.monotonic()
            self._console.print(
                f"[red]down[/] {name} ended unexpectedly and is being restarted. The end of "
                f"{log}:\n[dim]{escape(last_lines(log, 6))}[/]"
            )
