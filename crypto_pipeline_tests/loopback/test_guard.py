"""The guard itself: here and in child processes, nothing connects beyond loopback."""

from __future__ import annotations

import socket
import subprocess
import sys

import httpx
import pytest

OUTSIDE = "192.0.2.1"  # TEST-NET-1 (RFC 5737): nobody is there
# By its words: the guard's class is another one where Python itself has started it.
REFUSAL = "A test tried to connect to 192.0.2.1"


def test_a_connection_that_leaves_loopback_is_refused() -> None:
    with pytest.raises(BaseException, match=REFUSAL):
        socket.create_connection((OUTSIDE, 9), 0.2)


def test_no_client_hides_the_refusal() -> None:
    with pytest.raises(BaseException, match=REFUSAL):
        httpx.get(f"http://{OUTSIDE}/", timeout=0.2)


def test_a_child_process_is_guarded_too() -> None:
    code = f"import socket; socket.create_connection(({OUTSIDE!r}, 9), 0.2)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "LeftLoopbackError" in done.stderr


def test_loopback_is_open() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as connection,
    ):
        assert connection.getpeername() == server.getsockname()
