"""supervisord, run as our child: its configuration, its life, and asking it about services."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from crypto_pipeline.embedded.launch import PROJECT_ROOT
from crypto_pipeline.embedded.parent_death import end_with_parent
from crypto_pipeline.embedded.running import last_lines, log_file
from crypto_pipeline.embedded.services import Service
from crypto_pipeline.errors import ServiceError
from crypto_pipeline.settings import Settings, process_environment

# A socket's path has room for 104 characters on macOS and 108 on Linux.
SOCKET_PATH_LIMIT = 100
HEADER = """\
[unix_http_server]
file={socket}
chmod=0700

[supervisord]
nodaemon=true
silent=true
logfile={folder}/supervisord.log
logfile_maxbytes=1MB
logfile_backups=1
pidfile={folder}/supervisord.pid
childlogdir={folder}
identifier=crypto-pipeline

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
PROGRAM = """
[program:{name}]
command={python} -m crypto_pipeline.embedded.start_launch {launch}
autostart=false
autorestart=true
startsecs=5
startretries=4
stopsignal={stop_signal}
stopwaitsecs={stop_seconds}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=5MB
stdout_logfile_backups=2
"""
ANSWER_SECONDS = 15
# The socket of a killed process is closed before its parent hears of the death.
REAP_SECONDS = 1
KILLED = (
    "The process supervisor was killed, so nothing would restart a service. All services were "
    "stopped; start again with `make up`."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One service as supervisord sees it; `name` is its word (RUNNING, BACKOFF, FATAL ...)."""

    service: str
    name: str
    pid: int
    exit_status: int
    started_at: int


class Supervisor:
    """supervisord and its socket; nothing happens until `start`."""

    def __init__(self, settings: Settings, services: Iterable[Service]) -> None:
        self._settings = settings
        self._services = tuple(services)
        self._folder = settings.home / "supervisor"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        """Begin supervisord with nothing running in it, in a group that Ctrl-C does not reach."""
        config = write_configuration(self._settings, self._services)
        (self._settings.home / "logs").mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)],
            cwd=PROJECT_ROOT,
            env={**process_environment(), "PYTHONPATH": str(PROJECT_ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        end = time.monotonic() + ANSWER_SECONDS
        while not self._answers():
            if not self.is_alive() or time.monotonic() > end:
                log = self._folder / "supervisord.log"
                raise ServiceError(f"The supervisor did not start: {last_lines(log, 3)}")
            time.sleep(0.05)

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def begin(self, name: str) -> None:
        """Ask for one service; whether it answers is for its readiness probe."""
        self._ask("startProcess", name, False)

    def states(self) -> dict[str, State]:
        """Every service by name; raises ServiceError when supervisord is no more."""
        # The protocol has no types: a list of structures, whose keys supervisord documents.
        rows: Any = self._ask("getAllProcessInfo")
        return {str(row["name"]): _state(row) for row in rows}

    def end(self, name: str) -> None:
        """Ask one service to stop without waiting; an already stopped one is no error."""
        try:
            self._remote().supervisor.stopProcess(name, False)
        except Fault as fault:
            if "NOT_RUNNING" not in str(fault.faultString):
                raise

    def stop(self, *, seconds: float) -> None:
        """End supervisord, which stops what still runs; kill it when it takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(max(0.1, seconds))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, method: str, *arguments: object) -> object:
        """A call of supervisord; refused by one that was killed, it says that."""
        try:
            return getattr(self._remote().supervisor, method)(*arguments)
        except (OSError, HTTPException) as error:
            with suppress(subprocess.TimeoutExpired):
                if self._process is not None:
                    self._process.wait(REAP_SECONDS)
            if self.is_alive():
                raise
            raise ServiceError(KILLED) from error

    def _answers(self) -> bool:
        try:
            return bool(self._remote().supervisor.getState())
        except OSError:
            return False

    def _remote(self) -> ServerProxy:
        """A connection a call: the probes of several services ask from several threads."""
        address = f"unix://{socket_path(self._settings)}"
        return ServerProxy("http://127.0.0.1", transport=SupervisorTransport(None, None, address))


def write_configuration(settings: Settings, services: Iterable[Service]) -> Path:
    """The configuration, and a launch file a service. All of it is readable by us alone."""
    folder = settings.home / "supervisor"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    text = HEADER.format(socket=_literal(socket_path(settings)), folder=_literal(folder))
    for service in services:
        launch = folder / f"{service.name}.json"
        _write_private(launch, json.dumps(_plain(service)))
        text += PROGRAM.format(
            name=service.name,
            python=_argument(Path(sys.executable)),
            launch=_argument(launch),
            log=_literal(log_file(settings, service.name)),
            stop_seconds=service.stop_seconds,
            stop_signal=service.stop_signal,
        )
    config = folder / "supervisord.conf"
    _write_private(config, text)
    return config


def socket_path(settings: Settings) -> Path:
    """In the state folder, or where the path is too long for a socket, in a private short one."""
    near = settings.home / "supervisor" / "socket"
    if len(str(near).encode()) <= SOCKET_PATH_LIMIT:
        return near
    user, mark = os.getuid(), hashlib.sha256(str(near).encode()).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"crypto-pipeline-{user}-{mark}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.stat().st_uid != user:
        raise ServiceError(f"{short} belongs to another user. Remove it, or shorten STATE_DIR.")
    return short / "socket"


def _write_private(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(text)


def _plain(service: Service) -> dict[str, object]:
    launch = service.launch
    return {"argv": launch.argv, "env": launch.env, "cwd": str(launch.cwd)}


def _literal(path: Path) -> str:
    """supervisord expands `%(name)s` in every value."""
    return str(path).replace("%", "%%")


def _argument(path: Path) -> str:
    return f'"{_literal(path)}"'


def _state(row: Mapping[str, Any]) -> State:
    return State(
        service=str(row["name"]),
        name=str(row["statename"]),
        pid=int(row["pid"]),
        exit_status=int(row["exitstatus"]),
        started_at=int(row["start"]),
    )
