"""The real simulator on a real port, and venues that ask it, under one clock that only sleeps."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from crypto_pipeline.settings import Settings, load
from crypto_pipeline.simulator.clock import ClockMapping, SimulatedClock
from crypto_pipeline.simulator.market import Market
from crypto_pipeline.simulator.model import ModelMarket
from crypto_pipeline.simulator.server import create_app
from crypto_pipeline.source.clock import minute_of
from crypto_pipeline.source.coingecko import reference_symbols
from crypto_pipeline.source.failover import Minute, poll_in_turn
from crypto_pipeline.source.poll import PollResult
from crypto_pipeline.source.venues import feeds_for, venue_for
from crypto_pipeline_tests.source.builders import NO_ENV_FILE, NOW, NOW_MS, FakeClock

SYMBOLS = ("BTC-USDT", "ETH-USDT", "PEPE-USDT")
MARKET = ModelMarket(7, SYMBOLS)
# On a loaded machine an honest answer may take seconds: given up, it would be asked again in the
# same instant of the fake clock. Only the slow answer is given up early.
PATIENCE = 20.0
IMPATIENCE = 0.5
SLOW_SECONDS = 1.0


@dataclass
class Server:
    """One listening server whose app each case replaces by a fresh one."""

    port: int = 0
    app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@contextmanager
def serving() -> Iterator[Server]:
    holder = Server()
    config = uvicorn.Config(holder, log_level="critical", lifespan="off")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        holder.port = listener.getsockname()[1]
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        yield holder
        server.should_exit = True
        thread.join(10)


@dataclass
class World:
    """A market at one instant; each poll is a new process as far as memory goes."""

    server: Server
    folder: Path
    market: Market = MARKET
    options: dict[str, str] = field(default_factory=dict)
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))
    marks: dict[str, Any] = field(default_factory=dict)
    timeout: float = PATIENCE

    def __post_init__(self) -> None:
        mapping = ClockMapping(start_real=NOW_MS, start_sim=NOW_MS, speed=1.0)
        clock = SimulatedClock(mapping, lambda: int(self.clock.at.timestamp() * 1000))
        self.server.app = create_app(self.market, clock)
        self.address = f"http://127.0.0.1:{self.server.port}"
        self.http = httpx.Client(base_url=self.address, trust_env=False)

    @property
    def settings(self) -> Settings:
        values = {
            "MARKET": "simulated",
            "STATE_DIR": str(self.folder),
            "SIMULATOR_PORT": str(self.server.port),
            "SYMBOLS": ",".join(SYMBOLS),
            **self.options,
        }
        return load(values, env_file=NO_ENV_FILE)

    def fault(self, kind: str, **more: Any) -> None:
        if kind == "slow":
            self.timeout = IMPATIENCE
        more.setdefault("retry_after", SLOW_SECONDS if kind == "slow" else 90)
        answer = self.http.post("/faults", json={"kind": kind, **more})
        assert answer.status_code == 200, answer.text

    def asked(self) -> list[dict[str, Any]]:
        """What the venues saw, oldest first: the witness of every case."""
        return self.http.get("/requests/log").json()

    def paths(self, since: int = 0) -> list[str]:
        return [one["path"] for one in self.asked()[since:]]

    def poll(self, *names: str) -> PollResult:
        """One minute with fresh venues; only files and the market's clock remember."""
        settings = self.settings
        venues = [
            venue_for(settings, n, real=self.clock, timeout=httpx.Timeout(self.timeout))
            for n in names
        ]
        symbols = settings.symbols or None
        if names == ("coingecko",):
            symbols = reference_symbols(settings.symbols)
        minute = Minute(
            market="simulated",
            symbols=symbols,
            poll_at=minute_of(self.clock.now()),
            clock=self.clock,
        )
        result = poll_in_turn(
            feeds_for(settings, venues),
            minute,
            marks_of=lambda source: self.marks.get(source, {}),
            real=self.clock,
        )
        self.timeout = PATIENCE
        for venue in venues:
            venue._client.close()
        for part in (*result.earlier, result):
            if part.ticks:
                self.marks[part.poll.source] = part.marks
        return result

    def wait(self, **span: float) -> None:
        self.clock.at += timedelta(**span)

    def truth(self, symbol: str, at: datetime) -> Any:
        window = self.market.window(symbol, int(at.timestamp() * 1000))
        assert window is not None
        return window.last

    def assert_manners(self) -> None:
        """Nobody was asked for more than it bears, nor before it said."""
        asked = self.asked()
        assert [one for one in asked if one["is_over"]] == []
        assert [one for one in asked if one["is_early"]] == []
