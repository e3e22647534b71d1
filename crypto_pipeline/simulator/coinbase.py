"""Coinbase Exchange's dialect: one product a path, candles newest first as JSON numbers.

After the public documentation of the REST API (products) and its rate limits: ten requests a
second with bursts to fifteen.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from crypto_pipeline.simulator.dialect import Answer, Dialect, Question, RefusedError, Row
from crypto_pipeline.simulator.limits import Limit, PerSecond
from crypto_pipeline.simulator.market import MINUTE_MS, Bar, Listing, Market, Window

MOST_CANDLES = 300
STEP_MS = 3000


def answer(market: Market, asked: Question) -> Answer:
    parts = asked.path.strip("/").split("/")
    if parts == ["time"]:
        moment = datetime.fromtimestamp(asked.now_ms / 1000, UTC)
        return Answer({"iso": _iso(moment), "epoch": asked.now_ms / 1000})
    if parts == ["products"]:
        return Answer([_product(listing) for listing in market.listings()])
    symbol = parts[1]
    if symbol not in {listing.symbol for listing in market.listings()}:
        raise RefusedError(404, {"message": "NotFound"})
    if parts[2] == "candles":
        return Answer(_candles(market, symbol, asked))
    window = market.window(symbol, asked.now_ms)
    if window is None:
        raise RefusedError(404, {"message": "NotFound"})
    return Answer(_ticker(window, asked.now_ms))


def first_row(content: Any) -> Row | None:
    if isinstance(content, dict) and "price" in content:
        bid, ask = (content, "bid"), (content, "ask")
        return Row(row=None, price=(content, "price"), bid=bid, ask=ask)
    if isinstance(content, list) and content and isinstance(content[0], list):
        return Row(row=(content, 0), price=(content[0], 4))
    return None


def limits(factor: float) -> tuple[Limit, ...]:
    return (PerSecond(rate=10.0 * factor, burst=15.0),)


def _product(listing: Listing) -> dict[str, Any]:
    return {
        "id": listing.symbol,
        "base_currency": listing.base,
        "quote_currency": listing.quote,
        "quote_increment": f"{listing.tick:f}",
        "base_increment": f"{listing.step:f}",
        "status": "online",
    }


def _ticker(window: Window, now_ms: int) -> dict[str, Any]:
    traded = datetime.fromtimestamp((now_ms - now_ms % STEP_MS) / 1000, UTC)
    return {
        "trade_id": window.last_id,
        "price": f"{window.last:f}",
        "size": f"{window.last_size:f}",
        "time": _iso(traded),
        "bid": f"{window.bid:f}",
        "ask": f"{window.ask:f}",
        "volume": f"{window.volume:f}",
    }


def _candles(market: Market, symbol: str, asked: Question) -> list[list[Any]]:
    if asked.query.get("granularity") != "60":
        raise RefusedError(400, {"message": "Unsupported granularity"})
    first = _milliseconds(asked.query.get("start"), asked.now_ms - (MOST_CANDLES - 1) * MINUTE_MS)
    last = _milliseconds(asked.query.get("end"), asked.now_ms)
    if (last - first) // MINUTE_MS >= MOST_CANDLES:
        raise RefusedError(
            400,
            {
                "message": "granularity too small for the requested time range. Count of "
                f"aggregations requested exceeds {MOST_CANDLES}"
            },
        )
    bars = market.bars(symbol, first, last, asked.now_ms)
    return [_row(bar) for bar in reversed(bars) if bar.trades]


def _row(bar: Bar) -> list[Any]:
    numbers = (bar.low, bar.high, bar.open, bar.close, bar.volume)
    return [bar.open_ms // 1000, *(float(number) for number in numbers)]


def _milliseconds(text: str | None, default: int) -> int:
    if text is None:
        return default
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError as error:
        raise RefusedError(400, {"message": "Invalid start or end"}) from error


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


DIALECT = Dialect(
    name="coinbase",
    prefix="/coinbase",
    paths=("/time", "/products", "/products/{product}/ticker", "/products/{product}/candles"),
    answer=answer,
    first_row=first_row,
    failures={
        "400": (400, {"message": "Invalid request"}),
        "401": (401, {"message": "Unauthorized."}),
        "403": (403, {"message": "Forbidden"}),
        "404": (404, {"message": "NotFound"}),
        "429": (429, {"message": "Public rate limit exceeded"}),
        "451": (451, {"message": "Unavailable for legal reasons"}),
        "500": (500, {"message": "Internal server error"}),
    },
    make_limits=limits,
)
