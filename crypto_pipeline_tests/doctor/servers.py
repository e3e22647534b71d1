"""Small servers on loopback: one that speaks TLS, one that says nothing."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def listening(identity: Path | None = None) -> Iterator[int]:
    """The port of a server that shakes hands, with a certificate and key where one is given."""
    listener = socket.create_server(("127.0.0.1", 0))
    context = None
    if identity is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity)

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    if context is None:
                        connection.recv(1)
                        connection.sendall(b"no TLS here\r\n")
                    else:
                        context.wrap_socket(connection, server_side=True).close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
