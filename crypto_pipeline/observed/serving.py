"""`/metrics` and `/healthz` of a process that has no web server of its own.

    with serve("127.0.0.1", 9464, page=page, health=health):
        ...

Reading is all that can be done here, and nothing secret is shown; still, there is no login.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from crypto_pipeline.errors import MachineError
from crypto_pipeline.observed.exposition import CONTENT_TYPE
from crypto_pipeline.observed.health import Health

log = logging.getLogger(__name__)


@contextmanager
def serve(
    host: str, port: int, *, page: Callable[[], bytes], health: Callable[[], Health]
) -> Iterator[int]:
    """Answer from a thread while the block lasts; gives the port, a free one for port 0."""

    try:
        server = ThreadingHTTPServer((host, port), partial(_Handler, page=page, health=health))
    except OSError as error:
        raise MachineError(
            f"Metrics cannot be served on {host}:{port} ({error.strerror}). Set METRICS_HOST, and "
            "METRICS_PORT or DASHBOARD_METRICS_PORT, to an address of this machine that is free."
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers two paths and nothing else."""

    timeout = 10

    def __init__(
        self, *arguments: Any, page: Callable[[], bytes], health: Callable[[], Health]
    ) -> None:
        self._page = page
        self._health = health
        super().__init__(*arguments)

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/metrics":
                self._answer(200, CONTENT_TYPE, self._page())
            case "/healthz":
                health = self._health()
                text = json.dumps(health.content(), indent=2)
                self._answer(health.status, "application/json", f"{text}\n".encode())
            case _:
                self._answer(404, "text/plain", b"There is /metrics and /healthz.\n")

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
