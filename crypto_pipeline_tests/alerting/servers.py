"""A webhook and a mail server on loopback: they keep what they get, and fail when told to."""

from __future__ import annotations

import json
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from crypto_pipeline_tests.in_thread import serving


@dataclass
class Got:
    """`port` of the server, what came, and the status that it answers with."""

    port: int = 0
    received: list[Any] = field(default_factory=list)
    status: int = 200


@contextmanager
def webhook() -> Iterator[Got]:
    got = Got()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if got.status < 400:
                got.received.append(json.loads(body))
            self.send_response(got.status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as got.port:
        yield got


@contextmanager
def mail_server() -> Iterator[Got]:
    """As much of SMTP as a client needs; no TLS, no login."""
    got = Got()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 test")
            while line := self.rfile.readline().decode().strip():
                verb = line.split()[0].upper()
                if verb == "DATA":
                    self.say("354 go on")
                    got.received.append(self.letter())
                self.say("221 bye" if verb == "QUIT" else "250 ok")
                if verb == "QUIT":
                    return

        def letter(self) -> str:
            lines = []
            while (line := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                lines.append(line)
            return "\n".join(lines)

        def say(self, words: str) -> None:
            self.wfile.write(f"{words}\r\n".encode())

    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as got.port:
        yield got
