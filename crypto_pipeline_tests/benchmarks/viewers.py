"""Viewers without a browser: they speak the page's socket as the browser does, timers included.

    python -m crypto_pipeline_tests.benchmarks.viewers ws://127.0.0.1:8501 --sessions 30

A viewer opens a page, takes the timers that the server sets, asks for each live part when its timer
is due, and counts how many of the asked updates came. It does not draw, so it costs the server what
a browser costs it and the machine far less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

LIMIT = 64 * 1024 * 1024


@dataclass
class Viewer:
    """One session; `asked` and `came` count updates of live parts, `late` their seconds."""

    address: str
    query: str
    is_slow: bool = False
    asked: int = 0
    came: int = 0
    errors: int = 0
    runs: int = 0
    late: list[float] = field(default_factory=list)
    intervals: list[float] = field(default_factory=list)
    _page: str = ""
    _running: list[str] = field(default_factory=list)
    _waiting: dict[str, float] = field(default_factory=dict)
    _timers: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def watch(self, seconds: float) -> None:
        """Stay for so long. A slow viewer asks and does not read what comes."""
        async with asyncio.timeout(seconds + 30):
            async with websockets.connect(
                f"{self.address}/_stcore/stream",
                subprotocols=[websockets.Subprotocol("streamlit")],
                max_size=LIMIT,
            ) as socket:
                await self._ask(socket, None)
                reading = asyncio.create_task(self._read(socket))
                await asyncio.wait([reading], timeout=seconds)
                for timer in self._timers.values():
                    timer.cancel()
                await asyncio.wait([reading], timeout=2.0)
                if reading.done():
                    reading.result()  # the socket was closed, or a message was not understood
                reading.cancel()

    async def _ask(self, socket: websockets.ClientConnection, fragment: str | None) -> None:
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_script_hash = self.query, self._page
        state.context_info.timezone = "UTC"
        if fragment is not None:
            state.fragment_id, state.is_auto_rerun = fragment, True
            self.asked += 1
            self._waiting.setdefault(fragment, time.monotonic())
        await socket.send(message.SerializeToString())

    async def _read(self, socket: websockets.ClientConnection) -> None:
        async for data in socket:
            message = ForwardMsg()
            message.ParseFromString(data if isinstance(data, bytes) else data.encode())
            self._take(socket, message)
            while self.is_slow:
                await asyncio.sleep(1.0)

    def _take(self, socket: websockets.ClientConnection, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._page = message.new_session.page_script_hash
            self._running = list(message.metadata.run.fragment_ids)
            if not self._running:
                self._forget_timers()
        elif kind == "auto_rerun":
            timer = message.auto_rerun
            self.intervals.append(timer.interval)
            self._timers[timer.fragment_id] = asyncio.create_task(
                self._go_on(socket, timer.fragment_id, timer.interval)
            )
        elif kind == "delta":
            if message.delta.new_element.WhichOneof("type") == "exception":
                self.errors += 1
        elif kind == "script_finished":
            self.runs += 1
            for fragment in self._running:
                asked = self._waiting.pop(fragment, None)
                if asked is not None:
                    self.came += 1
                    self.late.append(time.monotonic() - asked)

    def _forget_timers(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        # What was asked before a run of the whole page is answered by it.
        self.came += len(self._waiting)
        self._waiting.clear()

    async def _go_on(
        self, socket: websockets.ClientConnection, fragment: str, interval: float
    ) -> None:
        while True:
            await asyncio.sleep(interval)
            await self._ask(socket, fragment)


async def crowd(
    address: str, *, sessions: int, seconds: float, query: str, slow: int = 0
) -> list[Viewer]:
    """So many viewers at once, spread over the first seconds; `slow` more that never read on."""
    viewers = [Viewer(address=address, query=query) for _ in range(sessions)]
    stuck = [Viewer(address=address, query=query, is_slow=True) for _ in range(slow)]

    async def come(viewer: Viewer, number: int) -> None:
        await asyncio.sleep(number * 0.2)
        await viewer.watch(seconds)

    arrivals = [come(viewer, number) for number, viewer in enumerate((*stuck, *viewers))]
    failures = await asyncio.gather(*arrivals, return_exceptions=True)
    for viewer, failure in zip((*stuck, *viewers), failures, strict=True):
        if failure is not None and not viewer.is_slow:
            raise failure
    return viewers


async def looked_at(
    watching: Coroutine[Any, Any, list[Viewer]], look: Callable[[], int]
) -> tuple[list[Viewer], list[int]]:
    """The viewers, and what there was to see in each second that they were there."""
    seen: list[int] = []

    async def each_second() -> None:
        while True:
            await asyncio.sleep(1.0)
            seen.append(look())

    looking = asyncio.create_task(each_second())
    try:
        viewers = await watching
    finally:
        looking.cancel()
    if looking.done():
        looking.result()  # the look failed
    return viewers, seen


def told(viewers: list[Viewer]) -> dict[str, float]:
    """Asked, came, the share, and how late an update was, in seconds."""
    late = sorted(second for viewer in viewers for second in viewer.late) or [0.0]
    asked = sum(viewer.asked for viewer in viewers)
    came = sum(viewer.came for viewer in viewers)
    return {
        "sessions": len(viewers),
        "asked": asked,
        "came": came,
        "share": round(came / max(asked, 1), 4),
        "errors": sum(viewer.errors for viewer in viewers),
        "late_p50": round(late[len(late) // 2], 3),
        "late_p95": round(late[int(len(late) * 0.95)], 3),
        "longest_interval": max((i for viewer in viewers for i in viewer.intervals), default=0.0),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", help="ws://host:port of the page")
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--slow", type=int, default=0)
    parser.add_argument("--query", default="page=symbol&symbol=BTC-USDT")
    given = parser.parse_args()
    viewers = asyncio.run(
        crowd(
            given.address, sessions=given.sessions, seconds=given.seconds, query=given.query,
            slow=given.slow,
        )
    )  # fmt: skip
    sys.stdout.write(json.dumps(told(viewers)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
