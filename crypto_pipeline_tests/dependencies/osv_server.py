"""A database of vulnerabilities with state, in OSV's protocol, on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from crypto_pipeline_tests.in_thread import serving


@dataclass
class KnownVulnerabilities:
    """By package URL the ids, by id the entry; `page` is how many ids one answer has room for."""

    of: dict[str, list[str]] = field(default_factory=dict)
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    page: int = 100
    is_away: bool = False
    asked: int = 0

    def add(self, package: str, name: str, **entry: Any) -> None:
        self.of.setdefault(package, []).append(name)
        self.entries[name] = {"id": name, **entry}

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        self.asked += 1
        ids = self.of.get(question["package"]["purl"], [])
        begin = int(question.get("page_token", 0))
        more = begin + self.page
        found = [{"id": name, "modified": "2026-01-01T00:00:00Z"} for name in ids[begin:more]]
        token = {"next_page_token": str(more)} if more < len(ids) else {}
        return {"vulns": found, **token} if found else {}


@contextmanager
def knowing(known: KnownVulnerabilities) -> Iterator[str]:
    """The address of a server that knows so much."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._send({"results": [known.answer(question) for question in body["queries"]]})

        def do_GET(self) -> None:
            self._send(known.entries.get(self.path.rpartition("/")[2]))

        def _send(self, content: dict[str, Any] | None) -> None:
            status = 503 if known.is_away else 404 if content is None else 200
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *values: object) -> None:
            """Nothing: the tests look at what was asked."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}"
