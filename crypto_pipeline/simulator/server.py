"""HTTP around a market: the endpoints of four venues, and the simulator's own doors.

Binance answers at the root, the others under /kraken, /coinbase and /coingecko. Own doors: GET
/healthz, GET /metrics, GET /clock (the time mapping), GET /truth/klines (closed candles that no
fault touches), POST /faults, GET /faults/log, GET /requests/log (what was asked, and whether it
was more or earlier than the venue bears). All handlers run on one event loop, so the market's
caches need no lock.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from crypto_pipeline.observed.exposition import CONTENT_TYPE
from crypto_pipeline.simulator import binance, coinbase, coingecko, kraken
from crypto_pipeline.simulator.clock import SimulatedClock
from crypto_pipeline.simulator.dialect import RefusedError
from crypto_pipeline.simulator.faults import FaultQueue, parse_fault
from crypto_pipeline.simulator.limits import RequestLog
from crypto_pipeline.simulator.market import Market
from crypto_pipeline.simulator.observing import health_of, page_of
from crypto_pipeline.simulator.venue import JSON_TYPE, SimulatedVenue, dump

Endpoint = Callable[[Request], Awaitable[Response]]
DIALECTS = (binance.DIALECT, kraken.DIALECT, coinbase.DIALECT, coingecko.DIALECT)


def create_app(market: Market, clock: SimulatedClock) -> Starlette:
    faults, log = FaultQueue(), RequestLog()
    venues = [SimulatedVenue(dialect, market, clock, faults, log) for dialect in DIALECTS]

    async def requests(request: Request) -> Response:
        return JSONResponse(log.report())

    async def truth(request: Request) -> Response:
        try:
            rows = binance.closed_klines(market, dict(request.query_params), clock.now_ms())
        except RefusedError as refusal:
            return JSONResponse(refusal.body, 400)
        return Response(dump(rows.content), media_type=JSON_TYPE)

    async def add_fault(request: Request) -> Response:
        try:
            fault = parse_fault(json.loads(await request.body()))
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        faults.add(fault)
        return JSONResponse(faults.report())

    async def fault_log(request: Request) -> Response:
        return JSONResponse(faults.report())

    async def clock_mapping(request: Request) -> Response:
        return JSONResponse(asdict(clock.mapping))

    async def health(request: Request) -> Response:
        found = health_of(market, clock)
        return JSONResponse(found.content(), found.status)

    async def metrics(request: Request) -> Response:
        return Response(page_of(market, clock, faults, log), media_type=CONTENT_TYPE)

    own = [
        Route("/truth/klines", truth),
        Route("/faults", add_fault, methods=["POST"]),
        Route("/faults/log", fault_log),
        Route("/requests/log", requests),
        Route("/clock", clock_mapping),
        Route("/healthz", health),
        Route("/metrics", metrics),
    ]
    return Starlette(routes=[*own, *(route for venue in venues for route in _routes(venue))])


def _routes(venue: SimulatedVenue) -> list[Route]:
    async def answer(request: Request) -> Response:
        return await venue.answer(
            request.url.path, dict(request.query_params), dict(request.headers)
        )

    prefix = venue.dialect.prefix
    return [Route(f"{prefix}{path}", answer) for path in venue.dialect.paths]
