"""What a port must bear: bytes that are no request, requests that are far too much, a crowd."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from crypto_pipeline.settings import Settings

CONNECTIONS = 200
ROUNDS = 20
SECONDS = 2.0
DEEP = 5_000
HANDSHAKE = (
    "GET /_stcore/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n"
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: Y3J5cHRvLXBpcGVsaW5lIQ==\r\n\r\n"
)
QUERIES = (
    "",
    "{",
    "{ __schema { types { name fields { name type { name fields { name } } } } } }",
    "query Q { " + "a { " * DEEP,
    "{ runsOrError(limit: -1) { __typename } }",
    '{ runOrError(runId: "\' OR 1=1 --") { __typename } }',
    '{ runOrError(runId: "../../../etc/passwd") { __typename } }',
    "{ " + " ".join(f"a{n}: instance {{ info }}" for n in range(500)) + " }",
    "mutation { launchRun(executionParams: null) { __typename } }",
)
PATHS = (
    "/../../../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/_stcore/health?" + "x" * 60_000,
    "/%00",
    "/component/../../../../etc/passwd",
    "/static/%c0%ae%c0%ae/secrets.toml",
)


@dataclass
class Port:
    """One port of 127.0.0.1; `taken` are the bytes that somebody there took."""

    number: int
    taken: int = 0

    def say(self, data: bytes) -> bytes:
        """What comes back at once; a server may close the connection on such a client."""
        with suppress(OSError), self.opened() as connection:
            self.send(connection, data)
            return connection.recv(65_536)
        return b""

    def opened(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.number), timeout=SECONDS)

    def send(self, connection: socket.socket, data: bytes) -> None:
        connection.sendall(data)
        self.taken += len(data)


Feed = Callable[[Port, random.Random], None]


def ports(settings: Settings) -> dict[str, tuple[int, Feed]]:
    """Who is fed what, by the name of the fault."""
    return {
        "graphql": (settings.dagster_port, graphql),
        "dashboard": (settings.dashboard_port, pages),
        "crowd": (settings.dashboard_port, crowd),
        "metrics": (settings.metrics_port, pages),
        "kafka": (settings.kafka_port, garbage),
        "spark": (settings.spark_port, garbage),
        "code-server": (settings.code_server_port, garbage),
    }


TARGETS = ("graphql", "dashboard", "crowd", "metrics", "kafka", "spark", "code-server")


def garbage(port: Port, dice: random.Random) -> None:
    """Random bytes, a length of two gigabytes, half a handshake: no server's protocol."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    starts = (b"", b"\x7f\xff\xff\xff", preface, b"GET /", b"\x16\x03\x01")
    for number in range(ROUNDS):
        port.say(starts[number % len(starts)] + dice.randbytes(8_192))


def graphql(port: Port, dice: random.Random) -> None:
    garbage(port, dice)
    for query in QUERIES:
        port.say(_post("/graphql", json.dumps({"query": query}).encode()))
    for body in (b"\xff" * 1_000, b"[" * 100_000, b"{}", b"null", b'{"query":' + b"9" * 10_000):
        port.say(_post("/graphql", body))
    _get_all(port)


def pages(port: Port, dice: random.Random) -> None:
    """Paths that lead out, long headers, a socket that is opened with what is no message."""
    garbage(port, dice)
    _get_all(port)
    for _ in range(ROUNDS):
        port.say(HANDSHAKE.format(port=port.number).encode() + dice.randbytes(4_096))


def crowd(port: Port, dice: random.Random) -> None:
    """So many open sessions at once, none of which reads what it is sent."""
    with ExitStack() as held:
        for _ in range(CONNECTIONS):
            with suppress(OSError):
                connection = held.enter_context(port.opened())
                port.send(connection, HANDSHAKE.format(port=port.number).encode())
        port.say(_post("/_stcore/upload_file/x/y", dice.randbytes(1_000_000)))


def _get_all(port: Port) -> None:
    for path in PATHS:
        answer = port.say(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert b"root:" not in answer, f"{path} leads out"
    port.say(b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n")


def _post(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def feed(settings: Settings, target: str, dice: float) -> int:
    """Bytes that the port took."""
    number, way = ports(settings)[target]
    port = Port(number)
    way(port, random.Random(dice))
    return port.taken
