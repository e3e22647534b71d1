"""A Databricks workspace on loopback: the endpoints that our clients call, with state.

Submitted wheel tasks are really run, by what a test gives for it. Bodies are read into the SDK's
own types, and a field that those do not know is refused as the service would.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from databricks.sdk.service import jobs

TOKEN = "dapi-of-the-tests"
VOLUME = "/Volumes/main/market/pipeline"
CLUSTER = "1125-224500-fakefake"
# Fields of a submit that are plain values.
PLAIN = ("run_name", "idempotency_token", "timeout_seconds")
Execute = Callable[["FakeRun"], Mapping[str, Any]]
# drop: the request is carried out, the client never learns it.
Fault = Literal["drop", "busy", "expired", "denied"]
REFUSALS: Mapping[str, tuple[int, str, str]] = {
    "busy": (429, "REQUEST_LIMIT_EXCEEDED", "Too many requests"),
    "expired": (403, "PERMISSION_DENIED", "Invalid access token."),
    "denied": (403, "PERMISSION_DENIED", "User me@example.org may not do this."),
}


class RefusedError(Exception):
    """An answer that is not 200: status, error code, words."""


@dataclass
class FakeRun:
    """One submitted run; `cancelled` is set when somebody asked for its end."""

    id: int
    task: jobs.SubmitTask
    body: Mapping[str, Any]
    life: str = "PENDING"
    result: str | None = None
    message: str = ""
    error: str | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def parameters(self) -> list[str]:
        assert self.task.python_wheel_task is not None
        return list(self.task.python_wheel_task.parameters or [])


@dataclass
class Workspace:
    """What the server holds. `faults` are met by the next requests of their endpoint, in turn."""

    folder: Path
    execute: Execute
    url: str = ""
    runs: dict[int, FakeRun] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    on_look: Callable[[FakeRun], None] = lambda _: None
    # How much faster a run's time goes than that of a clock.
    speed: float = 1.0
    threads: list[threading.Thread] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def path(self, name: str) -> Path:
        assert name.startswith("/Volumes/")
        return self.folder / name.lstrip("/")

    def submit(self, body: Mapping[str, Any]) -> dict[str, Any]:
        with self.lock:
            token = body.get("idempotency_token")
            if token in self.tokens:
                return {"run_id": self.tokens[token]}
            run = FakeRun(id=1000 + len(self.runs), task=self._checked(body), body=body)
            self.runs[run.id] = run
            if token is not None:
                self.tokens[token] = run.id
        thread = threading.Thread(target=self._work, args=(run,))
        self.threads.append(thread)
        thread.start()
        return {"run_id": run.id}

    def _checked(self, body: Mapping[str, Any]) -> jobs.SubmitTask:
        (task,) = (jobs.SubmitTask.from_dict(one) for one in body["tasks"])
        environments = [jobs.JobEnvironment.from_dict(e) for e in body.get("environments", [])]
        understood = {
            "tasks": [task.as_dict()],
            "environments": [one.as_dict() for one in environments],
            **{name: body[name] for name in PLAIN if name in body},
        }
        if {"environments": [], **body} != understood:
            raise RefusedError(400, "INVALID_PARAMETER_VALUE", "a field is not known")
        keys = {one.environment_key for one in environments}
        if task.existing_cluster_id is None and task.environment_key not in keys:
            raise RefusedError(400, "INVALID_PARAMETER_VALUE", "environment_key is not declared")
        if task.existing_cluster_id not in (None, CLUSTER):
            words = f"Cluster {task.existing_cluster_id} does not exist"
            raise RefusedError(404, "RESOURCE_DOES_NOT_EXIST", words)
        return task

    def _work(self, run: FakeRun) -> None:
        run.life = "RUNNING"
        wheels = [library.whl for library in run.task.libraries or []]
        for environment in run.body.get("environments", []):
            wheels += environment["spec"]["dependencies"]
        if not wheels or not all(self.path(str(wheel)).exists() for wheel in wheels):
            self._end(run, None, f"Library installation failed: {wheels} is not there")
            return
        answer = self.execute(run)
        run.error = answer.get("error")
        if run.cancelled.is_set():
            self._end(run, "CANCELED", "Run cancelled.")
        elif answer.get("timed_out"):
            self._end(run, "TIMEDOUT", f"Run exceeded {run.body['timeout_seconds']} seconds")
        elif run.error is not None:
            self._end(run, "FAILED", "Workload failed, see run output for details")
        else:
            self._end(run, "SUCCESS", "")

    def _end(self, run: FakeRun, result: str | None, message: str) -> None:
        run.message = message
        run.result = result
        run.life = "INTERNAL_ERROR" if result is None else "TERMINATED"

    def seconds(self, run: FakeRun) -> float:
        """The real seconds that a run may take."""
        return float(run.body["timeout_seconds"]) / self.speed

    def look(self, run_id: int) -> dict[str, Any]:
        run = self.runs[run_id]
        self.on_look(run)
        state = {"life_cycle_state": run.life, "state_message": run.message}
        if run.result is not None:
            state["result_state"] = run.result
        return {
            "run_id": run.id,
            "state": state,
            "run_page_url": f"{self.url}/jobs/runs/{run.id}",
            "tasks": [{"task_key": run.task.task_key, "run_id": run.id + 100_000}],
        }

    def cancel(self, run_id: int) -> dict[str, Any]:
        run = self.runs[run_id]
        run.life = "TERMINATING"
        run.cancelled.set()
        return {}


@contextmanager
def serving(folder: Path, execute: Execute) -> Iterator[Workspace]:
    """The workspace, for as long as the block lasts; its runs have ended after it."""
    workspace = Workspace(folder=folder, execute=execute)
    handler = type("Handler", (Endpoints,), {"workspace": workspace})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    workspace.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield workspace
    finally:
        for run in workspace.runs.values():
            run.cancelled.set()
        for one in workspace.threads:
            one.join(30)
        server.shutdown()
        thread.join()
        server.server_close()


class Endpoints(BaseHTTPRequestHandler):
    """Requests in, answers out; paths are those of the SDK."""

    workspace: Workspace
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name = unquote(parts.path)
        kind = name.split("/Volumes/")[0].rpartition("/api/")[2].rstrip("/")
        self.workspace.asked[f"{self.command} {kind}"] += 1
        waiting = self.workspace.faults.get(f"{self.command} {kind}", [])
        fault = waiting.pop(0) if waiting else None
        try:
            if fault in REFUSALS:
                raise RefusedError(*REFUSALS[fault])
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise RefusedError(*REFUSALS["expired"])
            found = self._found(kind, name, dict(parse_qs(parts.query)), body)
        except RefusedError as error:
            status, code, words = error.args
            self._send(status, json.dumps({"error_code": code, "message": words}).encode())
            return
        if fault == "drop":
            self.close_connection = True
            return
        self._send(200, found if isinstance(found, bytes) else json.dumps(found).encode())

    def _found(
        self, kind: str, name: str, query: dict[str, list[str]], body: bytes
    ) -> bytes | dict[str, Any]:
        space = self.workspace
        if kind == "2.2/jobs/runs/submit":
            return space.submit(json.loads(body))
        if kind == "2.2/jobs/runs/get":
            return space.look(int(query["run_id"][0]))
        if kind == "2.2/jobs/runs/get-output":
            return {"error": space.runs[int(query["run_id"][0]) - 100_000].error}
        if kind == "2.2/jobs/runs/cancel":
            return space.cancel(json.loads(body)["run_id"])
        if kind == "2.0/fs/directories":
            return self._directory(space.path(name.removeprefix("/api/2.0/fs/directories")))
        if kind == "2.0/fs/files":
            return self._file(space.path(name.removeprefix("/api/2.0/fs/files")), body)
        raise RefusedError(404, "ENDPOINT_NOT_FOUND", f"{self.command} {kind}")

    def _directory(self, place: Path) -> dict[str, Any]:
        if self.command == "PUT":
            place.mkdir(parents=True, exist_ok=True)
            return {}
        if not place.is_dir():
            raise RefusedError(404, "NOT_FOUND", f"{place.name} is not there")
        if self.command == "DELETE":
            place.rmdir()
            return {}
        return {
            "contents": [
                {"name": file.name, "path": str(file), "is_directory": file.is_dir()}
                for file in place.iterdir()
            ]
        }

    def _file(self, place: Path, body: bytes) -> bytes | dict[str, Any]:
        if self.command == "PUT":
            place.write_bytes(body)
            return {}
        if not place.exists():
            raise RefusedError(404, "NOT_FOUND", f"{place.name} is not there")
        if self.command == "DELETE":
            place.unlink()
            return {}
        return place.read_bytes()

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: the test's own output is enough."""


def put_wheel(workspace: Workspace, volume: str, wheel: Path) -> None:
    """Upload as `databricks fs cp` does."""
    workspace.path(volume).mkdir(parents=True, exist_ok=True)
    shutil.copy(wheel, workspace.path(volume) / wheel.name)
