"""The wires: a process of TCP proxies that pass, delay, reset, hold or cut, a service each.

    python -m crypto_pipeline_tests.chaos.wire SPECIFICATION.json

The specification names a control port and the routes: name, public port, port behind. On the
control port a line `ROUTE MODE` changes a wire at once; `ok` is the answer. `ROUTE harmed` asks how
many connections, pieces or answers the newest mode that harms has met. A route with a file writes
each HTTP answer that passes it there, a JSON line each.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crypto_pipeline_tests.chaos.exchange import Exchange

HOST = "127.0.0.1"
# pass: as it comes. delay: each piece late. reset: RST to all, old and new. hold: nothing gets
# through and nothing is closed, until it heals. cut: questions pass, and the first answer ends
# its connection: carried out, never heard of.
MODES = ("pass", "delay", "reset", "hold", "cut")
DELAY_SECONDS = 0.4
QUIET_SECONDS = 0.2
PIECE = 256 * 1024


@dataclass
class Route:
    """One service's wire and the connections on it."""

    name: str
    public: int
    behind: int
    file: Path | None = None
    mode: str = "pass"
    harmed: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def turn(self, mode: str) -> None:
        self.mode = mode
        if mode != "pass":
            self.harmed = 0
        if mode == "hold":
            self.opened.clear()
        else:
            self.opened.set()
        if mode == "reset":
            self.harmed += sum(not writer.is_closing() for writer in self.writers)
            for writer in list(self.writers):
                reset(writer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its client to the service and back, until either ends it."""
        if self.mode == "reset":
            self.harmed += 1
            reset(writer)
            return
        self.writers.add(writer)
        exchange = Exchange()
        far: asyncio.StreamWriter | None = None
        try:
            await self._opening()
            answers, far = await asyncio.open_connection(HOST, self.behind)
            self.writers.add(far)
            ways = [
                asyncio.create_task(self._pump(reader, far, exchange.ask)),
                asyncio.create_task(self._back(answers, writer, reader, exchange)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            # A half that ended leaves the other its last bytes.
            await asyncio.wait(ways, timeout=1)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            reset(writer)
        finally:
            self._write_down(exchange.left())
            for one in filter(None, (writer, far)):
                self.writers.discard(one)
                one.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        seen: Callable[[bytes], None],
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(PIECE):
                if self.file is not None:
                    seen(data)
                await self._wait()
                writer.write(data)
                await writer.drain()

    async def _back(
        self,
        answers: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        client: asyncio.StreamReader,
        exchange: Exchange,
    ) -> None:
        """The service's answers, with a note of each that the client was there to take."""
        with suppress(ConnectionError):
            while data := await answers.read(PIECE):
                if self.file is not None:
                    exchange.say(data)
                await self._wait()
                if self.mode == "cut":
                    self.harmed += 1
                    await self._swallow(answers, exchange)
                    reset(writer)
                    return
                writer.write(data)
                await writer.drain()
                if self.file is not None and not client.at_eof():
                    exchange.passed += len(data)
                    self._write_down(exchange.taken())

    async def _swallow(self, answers: asyncio.StreamReader, exchange: Exchange) -> None:
        """The rest of an answer comes in pieces of its own; it is served, and not told."""
        with suppress(TimeoutError):
            while data := await asyncio.wait_for(answers.read(PIECE), QUIET_SECONDS):
                if self.file is not None:
                    exchange.say(data)

    async def _opening(self) -> None:
        self.harmed += not self.opened.is_set()
        await self.opened.wait()

    async def _wait(self) -> None:
        await self._opening()
        if self.mode == "delay":
            self.harmed += 1
            await asyncio.sleep(DELAY_SECONDS)

    def _write_down(self, answers: list[dict[str, Any]]) -> None:
        if self.file is not None and answers:
            with self.file.open("a") as file:
                file.writelines(json.dumps(one) + "\n" for one in answers)


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST instead of FIN."""
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def serve(specification: dict[str, Any]) -> None:
    routes = {}
    for given in specification["routes"]:
        file = Path(given["file"]) if given.get("file") else None
        route = Route(given["name"], given["public"], given["behind"], file)
        route.opened.set()
        routes[route.name] = route
        await asyncio.start_server(route.serve, HOST, route.public)

    async def control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words = (await reader.readline()).decode().split()
        # Who only knocks says nothing.
        if len(words) == 2 and words[1] in MODES:
            routes[words[0]].turn(words[1])
            writer.write(b"ok\n")
            await writer.drain()
        elif words[1:] == ["harmed"]:
            writer.write(f"{routes[words[0]].harmed}\n".encode())
            await writer.drain()
        writer.close()

    await (await asyncio.start_server(control, HOST, specification["control"])).serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text())))
