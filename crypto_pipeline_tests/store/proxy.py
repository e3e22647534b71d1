"""A proxy before the store that harms requests: drops an answer, says 503 or 403, answers slowly.

It speaks as much HTTP/1.1 as S3 clients do: one request a connection, bodies with a length.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from crypto_pipeline_tests.conftest import free_port

# drop: the store carries the request out, the client never learns it. lose: it never gets there.
Fault = Literal["pass", "drop", "lose", "unavailable", "slow", "denied"]
SLOW_SECONDS = 2.0
UNAVAILABLE = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: 87\r\n"
    b"Connection: close\r\n\r\n<Error><Code>SlowDown</Code>"
    b"<Message>Please reduce your request rate.</Message></Error>"
)
DENIED_BODY = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
DENIED = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n" % len(DENIED_BODY)
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as the proxy saw it; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def is_log_entry(self) -> bool:
        """Whether it writes a version of a table."""
        return self.method == "PUT" and "/_delta_log/0" in self.path and ".json" in self.path


@dataclass
class Proxy:
    """`decide` may be changed while it runs; `seen` counts what was done to requests.

    `review` sees the status of the store's answer and may still deny it; `alter` may change it to
    one of the same length.
    """

    port: int
    upstream: int
    decide: Callable[[Request], Fault] = lambda _: "pass"
    review: Callable[[Request, int], bool] = lambda *_: True
    alter: Callable[[bytes], bytes] = lambda answer: answer
    hides: frozenset[str] = frozenset()
    seen: Counter[str] = field(default_factory=Counter)
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.seen["broken"] += 1
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
        headers = {name.lower(): value for name, value in headers.items()}
        if headers.pop("expect", None):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await writer.drain()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(method=method, path=path, headers=headers, body=body)
        fault = self.decide(request)
        self.requests.append(request)
        self.seen[fault] += 1
        if fault == "unavailable":
            writer.write(UNAVAILABLE)
            await writer.drain()
            return
        if fault == "lose":
            return
        if fault == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        answer = b"" if fault == "denied" else await self._ask(head[0], headers, body)
        if fault == "denied" or not self.review(request, int(answer.split(b" ", 2)[1])):
            answer = DENIED if method == "HEAD" else DENIED + DENIED_BODY
        if fault != "drop":
            writer.write(self.alter(answer))
            await writer.drain()

    async def _ask(self, first: str, headers: dict[str, str], body: bytes) -> bytes:
        kept = {name: value for name, value in headers.items() if name not in self.hides}
        kept["connection"] = "close"
        lines = [first, *(f"{name}: {value}" for name, value in kept.items()), "", ""]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            writer.write("\r\n".join(lines).encode("latin-1") + body)
            await writer.drain()
            return await _whole(reader, has_body=not first.startswith("HEAD "))
        finally:
            writer.close()


async def _whole(reader: asyncio.StreamReader, *, has_body: bool) -> bytes:
    """One answer, by the length that it says: the server does not always close after it."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    lengths = [int(line.split(":")[1]) for line in lines if line.startswith("content-length:")]
    if not has_body or " 204 " in lines[0] or " 304 " in lines[0]:
        return head
    return head + (await reader.readexactly(lengths[0]) if lengths else await reader.read(-1))


@contextmanager
def before(upstream: int) -> Iterator[Proxy]:
    """A proxy in a thread of its own for as long as the block lasts."""
    proxy = Proxy(port=free_port(), upstream=upstream)
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    async def run() -> asyncio.Server:
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", proxy.port)
        ready.set()
        return server

    def work() -> None:
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(run())
        loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(10)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
