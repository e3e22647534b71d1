"""The wires do what their modes say, and the recorder on one knows what got through."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, RemoteDisconnected
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from crypto_pipeline_tests.chaos import wire
from crypto_pipeline_tests.conftest import ROOT, free_port
from crypto_pipeline_tests.embedded.stack import await_port

BODY = b'{"price":"1.0"}'


class Market(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        cut = self.path == "/cut"
        self.send_header("Content-Length", str(len(BODY) * (2 if cut else 1)))
        self.end_headers()
        self.wfile.write(BODY)
        self.close_connection = cut

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@dataclass(frozen=True, kw_only=True)
class Wired:
    port: int
    control: int
    file: Path

    def turn(self, mode: str) -> None:
        with socket.create_connection(("127.0.0.1", self.control), timeout=5) as connection:
            connection.sendall(f"http {mode}\n".encode())
            assert connection.recv(8) == b"ok\n"

    def harmed(self) -> int:
        with socket.create_connection(("127.0.0.1", self.control), timeout=5) as connection:
            connection.sendall(b"http harmed\n")
            return int(connection.recv(32))

    def ask(self, path: str = "/", *, seconds: float = 5) -> bytes:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def answers(self, count: int) -> list[dict[str, Any]]:
        until = time.monotonic() + 5
        while True:
            lines = self.file.read_text().splitlines() if self.file.exists() else []
            if len(lines) >= count:
                return [json.loads(line) for line in lines]
            assert time.monotonic() < until, lines
            time.sleep(0.05)


@pytest.fixture
def wired(tmp_path: Path) -> Iterator[Wired]:
    market = ThreadingHTTPServer(("127.0.0.1", 0), Market)
    thread = threading.Thread(target=market.serve_forever, args=(0.05,))
    thread.start()
    found = Wired(port=free_port(), control=free_port(), file=tmp_path / "answers.jsonl")
    route = {"name": "http", "public": found.port, "behind": market.server_port}
    specification = tmp_path / "wires.json"
    specification.write_text(
        json.dumps({"control": found.control, "routes": [{**route, "file": str(found.file)}]})
    )
    process = subprocess.Popen([sys.executable, "-m", wire.__name__, str(specification)], cwd=ROOT)
    try:
        await_port(found.control, process)
        yield found
    finally:
        process.kill()
        process.wait()
        market.shutdown()
        thread.join()
        market.server_close()


def test_what_passes_is_written_down_as_received(wired: Wired) -> None:
    assert wired.ask("/price?symbol=A") == BODY
    (answer,) = wired.answers(1)
    assert answer["request"] == "GET /price?symbol=A HTTP/1.1"
    assert (answer["status"], answer["body"]) == (200, BODY.decode())
    assert answer["is_delivered"]


def test_a_cut_wire_carries_out_and_does_not_tell(wired: Wired) -> None:
    wired.turn("cut")
    with pytest.raises(ConnectionError):
        wired.ask("/order")
    (answer,) = wired.answers(1)
    assert answer["body"] == BODY.decode()
    assert not answer["is_delivered"]


def test_half_an_answer_is_none(wired: Wired) -> None:
    with pytest.raises(Exception, match="IncompleteRead"):
        wired.ask("/cut")
    (answer,) = wired.answers(1)
    assert not answer["is_whole"]
    assert not answer["is_delivered"]


def test_a_reset_wire_refuses_until_it_is_healed(wired: Wired) -> None:
    wired.turn("reset")
    with pytest.raises((ConnectionError, RemoteDisconnected)):
        wired.ask()
    wired.turn("pass")
    assert wired.ask() == BODY


def test_a_held_wire_says_nothing_and_then_all(wired: Wired) -> None:
    wired.turn("hold")
    with pytest.raises(TimeoutError):
        wired.ask(seconds=0.3)
    healing = threading.Timer(0.5, wired.turn, ["pass"])
    healing.start()
    assert wired.ask() == BODY
    healing.join()


def test_a_slow_wire_is_slow(wired: Wired) -> None:
    wired.turn("delay")
    begun = time.monotonic()
    assert wired.ask() == BODY
    assert time.monotonic() - begun >= wire.DELAY_SECONDS


def test_a_wire_counts_what_it_has_harmed_since_it_was_turned(wired: Wired) -> None:
    wired.turn("delay")
    assert wired.harmed() == 0, "nobody has asked"
    wired.ask()
    assert wired.harmed() > 0
    wired.turn("cut")
    assert wired.harmed() == 0
    with pytest.raises(ConnectionError):
        wired.ask()
    assert wired.harmed() == 1
    wired.turn("reset")
    with pytest.raises((ConnectionError, RemoteDisconnected)):
        wired.ask()
    was = wired.harmed()
    assert was > 0
    wired.turn("pass")
    wired.ask()
    assert wired.harmed() == was, "what passes is not harmed, and what was is still known"
    wired.turn("hold")
    with pytest.raises(TimeoutError):
        wired.ask(seconds=0.3)
    assert wired.harmed() >= 1
