"""`python -m crypto_pipeline.cluster.wait_for HOST PORT`: until a server accepts connections.

With `--once` it asks once, which is a probe; with `--path` an HTTP answer below 400 is asked for.
Standard library only: a probe runs every few seconds and must start in no time.
"""

from __future__ import annotations

import argparse
import http.client
import socket
import sys
import time

PAUSE_SECONDS = 2.0
KNOCK_SECONDS = 3.0


def why_not(host: str, port: int, path: str | None) -> str | None:
    """Why the server does not serve; None when it does."""
    try:
        if path is None:
            socket.create_connection((host, port), timeout=KNOCK_SECONDS).close()
            return None
        connection = http.client.HTTPConnection(host, port, timeout=KNOCK_SECONDS)
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    return None if status < 400 else f"HTTP {status}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--path")
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--timeout", type=float, default=600.0)
    asked = parser.parse_args(arguments)
    until = time.monotonic() + asked.timeout
    while (reason := why_not(asked.host, asked.port, asked.path)) is not None:
        if asked.once or time.monotonic() > until:
            sys.stderr.write(f"{asked.host}:{asked.port} does not serve: {reason}\n")
            return 1
        time.sleep(PAUSE_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
