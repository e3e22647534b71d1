"""A real S3-protocol server on loopback: moto's, in a process of its own, with one bucket.

It was chosen by measuring (2 cores): of four writers at once with `If-None-Match: *` exactly one
won in 60 of 60 rounds, where s3proxy 2.9.0 with its file and memory stores answers 501 to every
such write. It takes 2 s to start and no JVM.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from crypto_pipeline_tests.conftest import free_port

START_SECONDS = 60
BUCKET = "lake"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIATESTKEY", "AWS_SECRET_ACCESS_KEY": "test-secret-of-the-store"}


@dataclass(frozen=True, kw_only=True)
class Store:
    """Where it answers; `port` for a proxy in front of it."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def settings(self, prefix: str) -> dict[str, str]:
        """The settings of a lake in it, by name."""
        return {"LAKE_ROOT": f"s3a://{BUCKET}/{prefix}", "AWS_ENDPOINT_URL": self.url, **KEYS}


@contextmanager
def serving() -> Iterator[Store]:
    store = Store(port=free_port())
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(store.port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _make_bucket(store, process)
        yield store
    finally:
        process.terminate()
        process.wait(10)


def _make_bucket(store: Store, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            assert httpx.put(f"{store.url}/{BUCKET}", timeout=5).status_code == 200
        except httpx.TransportError:
            assert process.poll() is None, "the S3 server ended while starting"
            assert time.monotonic() < end, "the S3 server does not answer"
            time.sleep(0.1)
        else:
            return
