"""The credentials endpoint of a container or pod, as AWS's clients ask it for their role's keys."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from crypto_pipeline_tests.in_thread import serving

TOKEN = "token-of-the-pod"
KEY = "ASIAROLEKEY"


@contextmanager
def role(folder: Path) -> Iterator[tuple[dict[str, str], Counter[str]]]:
    """The variables that name the endpoint, and who has asked it with the right token."""
    asked: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization") != TOKEN:
                self.send_error(401)
                return
            asked[str(self.headers.get("User-Agent")).split("/")[0].lower()] += 1
            body = json.dumps(
                {
                    "AccessKeyId": KEY,
                    "SecretAccessKey": "secret-of-the-role",
                    "Token": "session-of-the-role",
                    "Expiration": f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
                }
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the test's own output is enough."""

    token = folder / "pod-token"
    token.write_text(TOKEN)
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield (
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port}/role",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
            },
            asked,
        )
