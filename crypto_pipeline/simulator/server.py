"""HTTP around a market: Binance's endpoints, and the simulator's own doors.

Own doors: GET /healthz, GET /clock (the time mapping), GET /truth/klines (closed candles that
no fault touches), POST /faults, GET /faults/log. All handlers run on one event loop, so the
market's caches need no lock.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from crypto_pipeline.simulator import binance
from crypto_pipeline.simulator.clock import SimulatedClock
from crypto_pipeline.simulator.faults import (
    HTML,
    STATUS_BODIES,
    Fault,
    FaultQueue,
    parse_fault,
    spoil,
)
from crypto_pipeline.simulator.market import MINUTE_MS, Market

JSON_TYPE = "application/json;charset=UTF-8"
Endpoint = Callable[[Request], Awaitable[Response]]


class Venue:
    """Answers requests from a market at the clock's now; faults come between the two."""

    def __init__(self, market: Market, clock: SimulatedClock) -> None:
        self.market = market
        self.clock = clock
        self.faults = FaultQueue()
        self._last: dict[tuple[str, str | None], str] = {}
        self._weight_minute = 0
        self._weight = 0

    async def answer(self, path: str, query: dict[str, str]) -> Response:
        fault = self.faults.take(path, self.clock.now_ms())
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.retry_after)
        if fault is not None and fault.kind in STATUS_BODIES:
            return self._refuse(fault)
        if fault is not None and fault.kind == "html":
            return Response(HTML, media_type="text/html")
        try:
            content = self._content(path, query)
        except binance.RequestRefusedError as refusal:
            return JSONResponse(refusal.body, 400, headers=self._headers())
        return self._spoiled(fault, (path, query.get("symbol")), _dump(content))

    def _content(self, path: str, query: dict[str, str]) -> Any:
        now = self.clock.now_ms()
        match path:
            case "/api/v3/ping":
                answer = binance.Answer({}, 1)
            case "/api/v3/time":
                answer = binance.Answer({"serverTime": now}, 1)
            case "/api/v3/exchangeInfo":
                answer = binance.exchange_info(self.market, now)
            case "/api/v3/klines":
                answer = binance.klines(self.market, query, now)
            case _:
                answer = binance.ticker_24hr(self.market, query, now)
        self._weigh(answer.weight)
        return answer.content

    def _spoiled(
        self, fault: Fault | None, question: tuple[str, str | None], body: str
    ) -> Response:
        headers = self._headers()
        if fault is not None and fault.kind == "stale":
            body = self._last.get(question, body)
        self._last[question] = body
        if fault is not None and fault.kind in ("nulls", "nan"):
            body = spoil(body, fault.kind)
        if fault is not None and fault.kind == "cut_body":
            whole = len(body.encode())
            headers["content-length"] = str(whole)
            body = body[: whole // 2]
        return Response(body, media_type=JSON_TYPE, headers=headers)

    def _refuse(self, fault: Fault) -> Response:
        headers = self._headers()
        if fault.kind in ("429", "418"):
            headers["Retry-After"] = f"{fault.retry_after:g}"
        return JSONResponse(STATUS_BODIES[fault.kind], int(fault.kind), headers=headers)

    def _weigh(self, weight: int) -> None:
        minute = self.clock.real_now() // MINUTE_MS
        if minute != self._weight_minute:
            self._weight_minute, self._weight = minute, 0
        self._weight += weight

    def _headers(self) -> dict[str, str]:
        return {"X-MBX-USED-WEIGHT": str(self._weight), "X-MBX-USED-WEIGHT-1M": str(self._weight)}


def create_app(market: Market, clock: SimulatedClock) -> Starlette:
    venue = Venue(market, clock)

    async def market_data(request: Request) -> Response:
        return await venue.answer(request.url.path, dict(request.query_params))

    async def truth(request: Request) -> Response:
        try:
            rows = binance.closed_klines(market, dict(request.query_params), clock.now_ms())
        except binance.RequestRefusedError as refusal:
            return JSONResponse(refusal.body, 400)
        return Response(_dump(rows.content), media_type=JSON_TYPE)

    async def add_fault(request: Request) -> Response:
        try:
            fault = parse_fault(json.loads(await request.body()))
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        venue.faults.add(fault)
        return JSONResponse(venue.faults.report())

    async def fault_log(request: Request) -> Response:
        return JSONResponse(venue.faults.report())

    async def clock_mapping(request: Request) -> Response:
        return JSONResponse(asdict(clock.mapping))

    async def health(request: Request) -> Response:
        symbols = len(market.listings())
        return JSONResponse({"status": "ok", "now": clock.now_ms(), "symbols": symbols})

    paths = ("ping", "time", "exchangeInfo", "klines", "ticker/24hr")
    return Starlette(
        routes=[
            *(Route(f"/api/v3/{path}", market_data) for path in paths),
            Route("/truth/klines", truth),
            Route("/faults", add_fault, methods=["POST"]),
            Route("/faults/log", fault_log),
            Route("/clock", clock_mapping),
            Route("/healthz", health),
        ]
    )


def _dump(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"))
