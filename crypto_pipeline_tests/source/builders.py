"""Small builders for the tests of the market side."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from crypto_pipeline.simulator.clock import ClockMapping, SimulatedClock
from crypto_pipeline.simulator.market import Market
from crypto_pipeline.simulator.model import ModelMarket
from crypto_pipeline.simulator.server import create_app
from crypto_pipeline.source.venue import Origin

POLL_AT = datetime(2026, 11, 23, 10, 5, tzinfo=UTC)
NOW = POLL_AT + timedelta(seconds=5)
NOW_MS = int(NOW.timestamp() * 1000)
SYMBOLS = ("BTC-USDT", "ETH-USDT", "PEPE-USDT")
NO_ENV_FILE = Path("no-such-file.env")
ORIGIN = Origin(
    market="simulated",
    source="simulator:binance:7",
    venue="binance",
    poll_at=POLL_AT,
    observed_at=NOW,
    endpoint="/api/v3/ticker/24hr",
)


class FakeClock:
    """Time moves only when somebody sleeps; the sleeps are kept."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at
        self.sleeps: list[float] = []

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.at += timedelta(seconds=seconds)


def frozen_clock(now_ms: int = NOW_MS) -> SimulatedClock:
    mapping = ClockMapping(start_real=now_ms, start_sim=now_ms, speed=1.0)
    return SimulatedClock(mapping, lambda: now_ms)


class App:
    """Asks an app without a port, one request at a time from whatever thread."""

    def __init__(self, app: Starlette) -> None:
        self._transport = httpx.ASGITransport(app=app)
        self._lock = threading.Lock()

    def get(self, path: str, params: Mapping[str, str] | None = None) -> httpx.Response:
        return self.send(httpx.Request("GET", f"http://app{path}", params=params))

    def post(self, path: str, json: Any) -> httpx.Response:
        return self.send(httpx.Request("POST", f"http://app{path}", json=json))

    def send(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            answer = await self._transport.handle_async_request(request)
            headers = {k: v for k, v in answer.headers.items() if k != "content-length"}
            return httpx.Response(answer.status_code, headers=headers, content=await answer.aread())

        with self._lock:
            return asyncio.run(ask())


def simulator(market: Market | None = None, now_ms: int = NOW_MS) -> App:
    """The simulator, standing still at `now_ms`."""
    return App(create_app(market or ModelMarket(7, SYMBOLS), frozen_clock(now_ms)))


def transport_to(app: App) -> httpx.MockTransport:
    """A transport that hands each request to the app."""
    return httpx.MockTransport(app.send)


def row(**changes: Any) -> dict[str, Any]:
    """A FULL row of ticker/24hr; a change to ... leaves the field out."""
    values = {
        "symbol": "BTCUSDT",
        "lastPrice": "67012.01000000",
        "bidPrice": "67012.00000000",
        "bidQty": "1.20000000",
        "askPrice": "67012.01000000",
        "askQty": "0.40000000",
        "openPrice": "66500.00000000",
        "highPrice": "67400.00000000",
        "lowPrice": "66100.50000000",
        "volume": "21034.11200000",
        "quoteVolume": "1404519034.12000000",
        "openTime": NOW_MS - 86_400_000,
        "closeTime": NOW_MS,
        "firstId": 1,
        "lastId": 90210,
        "count": 90210,
        **changes,
    }
    return {name: value for name, value in values.items() if value is not ...}


def body(*rows: Any) -> str:
    return json.dumps(list(rows))
