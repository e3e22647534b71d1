"""Binance spot's dialect: shapes, parameter rules, error bodies and weights, without HTTP.

After the public documentation of the REST API (general endpoints and market data): numbers
are strings, times integer milliseconds, klines positional arrays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from crypto_pipeline.simulator.dialect import Answer, Dialect, Question, RefusedError, Row
from crypto_pipeline.simulator.limits import Limit, PerWindow
from crypto_pipeline.simulator.market import DAY_MS, MINUTE_MS, Bar, Listing, Market, Window

KLINES_DEFAULT, KLINES_MAX = 500, 1000
WEIGHT_A_MINUTE = 6000
LOOK_AHEAD = 1440  # minutes read at a time in search of a bar
MINI_FIELDS = (
    "symbol",
    "openPrice",
    "highPrice",
    "lowPrice",
    "lastPrice",
    "volume",
    "quoteVolume",
    "openTime",
    "closeTime",
    "firstId",
    "lastId",
    "count",
)


def refused(code: int, sentence: str) -> RefusedError:
    return RefusedError(400, {"code": code, "msg": sentence})


def answer(market: Market, asked: Question) -> Answer:
    match asked.path:
        case "/api/v3/ping":
            return Answer({}, 1)
        case "/api/v3/time":
            return Answer({"serverTime": asked.now_ms}, 1)
        case "/api/v3/exchangeInfo":
            return exchange_info(market, asked.now_ms)
        case "/api/v3/klines":
            return klines(market, asked.query, asked.now_ms)
        case _:
            return ticker_24hr(market, asked.query, asked.now_ms)


def first_row(content: Any) -> Row | None:
    rows = content if isinstance(content, list) else [content]
    if not rows:
        return None
    holder = (content, 0) if isinstance(content, list) else None
    row = rows[0]
    if isinstance(row, dict) and "lastPrice" in row:
        bid, ask = (row, "bidPrice"), (row, "askPrice")
        return Row(row=holder, price=(row, "lastPrice"), bid=bid, ask=ask)
    if isinstance(row, list) and len(row) > 4:
        return Row(row=holder, price=(row, 4))
    return None


def limits(factor: float) -> tuple[Limit, ...]:
    return (PerWindow(WEIGHT_A_MINUTE * factor, MINUTE_MS),)


def ticker_24hr(market: Market, query: Mapping[str, str], now_ms: int) -> Answer:
    if "symbol" in query and "symbols" in query:
        raise refused(-1128, "Combination of optional parameters invalid.")
    kind = query.get("type", "FULL")
    if kind not in ("FULL", "MINI"):
        raise refused(-1130, "Data sent for parameter 'type' is not valid.")
    names = _by_name(market)
    asked = _asked_symbols(query, names)
    rows = [
        _ticker_row(name, window, now_ms, kind)
        for name in asked
        if (window := market.window(names[name].symbol, now_ms)) is not None
    ]
    if "symbol" in query:
        return Answer(rows[0] if rows else [], 2)
    count = len(asked) if "symbols" in query else 101
    return Answer(rows, 2 if count <= 20 else 40 if count <= 100 else 80)


def klines(market: Market, query: Mapping[str, str], now_ms: int) -> Answer:
    """The running minute is the last element, as at Binance; an absent minute is left out."""
    rows = candle_rows(market, query, now_ms, most=KLINES_MAX)
    return Answer(rows, 2)


def closed_klines(market: Market, query: Mapping[str, str], now_ms: int) -> Answer:
    """The same rows without the running minute and up to 100 000 at a time."""
    rows = candle_rows(market, query, now_ms, most=100_000)
    return Answer([row for row in rows if row[6] < now_ms], 0)


def candle_rows(
    market: Market, query: Mapping[str, str], now_ms: int, *, most: int
) -> list[list[Any]]:
    """With a start: the first `limit` from there; without: the newest `limit`."""
    names = _by_name(market)
    name = _mandatory(query, "symbol")
    if name not in names:
        raise refused(-1121, "Invalid symbol.")
    if _mandatory(query, "interval") != "1m":
        raise refused(-1120, "Invalid interval.")
    symbol = names[name].symbol
    limit = min(most, _integer(query, "limit", KLINES_DEFAULT))
    last = min(now_ms, _integer(query, "endTime", now_ms))
    if "startTime" in query:
        first = max(_integer(query, "startTime", 0), market.oldest_ms(symbol))
        first += -first % MINUTE_MS
        return [_kline_row(bar) for bar in _forward(market, symbol, first, last, now_ms, limit)]
    first = last - last % MINUTE_MS - (limit - 1) * MINUTE_MS
    return [_kline_row(bar) for bar in market.bars(symbol, first, last, now_ms)[-limit:]]


def exchange_info(market: Market, now_ms: int) -> Answer:
    content = {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": WEIGHT_A_MINUTE,
            }
        ],
        "exchangeFilters": [],
        "symbols": [_listing_row(listing) for listing in market.listings()],
    }
    return Answer(content, 20)


def _forward(
    market: Market, symbol: str, first: int, last: int, now_ms: int, limit: int
) -> list[Bar]:
    """The first `limit` bars from `first`, stepping over holes without reading all that follows."""
    found: list[Bar] = []
    while first <= last and len(found) < limit:
        page_end = min(last, first + (max(limit, LOOK_AHEAD) - 1) * MINUTE_MS)
        found += market.bars(symbol, first, page_end, now_ms)
        first = page_end - page_end % MINUTE_MS + MINUTE_MS
    return found[:limit]


def _by_name(market: Market) -> dict[str, Listing]:
    return {listing.base + listing.quote: listing for listing in market.listings()}


def _asked_symbols(query: Mapping[str, str], names: Mapping[str, Listing]) -> list[str]:
    if "symbol" in query:
        asked = [query["symbol"]]
    elif "symbols" in query:
        asked = _symbol_array(query["symbols"])
    else:
        return list(names)
    if any(name not in names for name in asked):
        raise refused(-1121, "Invalid symbol.")
    return asked


def _symbol_array(text: str) -> list[str]:
    illegal = refused(
        -1100,
        "Illegal characters found in parameter 'symbols'; legal range is "
        '\'^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$\'.',
    )
    if not re.fullmatch(r'\[("[A-Z0-9\-_.]{1,20}"(,"[A-Z0-9\-_.]{1,20}")*)?\]', text):
        raise illegal
    return list(dict.fromkeys(json.loads(text)))


def _mandatory(query: Mapping[str, str], name: str) -> str:
    if not query.get(name):
        raise refused(
            -1102,
            f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
        )
    return query[name]


def _integer(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,15}", text) or (name == "limit" and int(text) == 0):
        raise refused(
            -1100,
            f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.",
        )
    return int(text)


def _ticker_row(name: str, window: Window, now_ms: int, kind: str) -> dict[str, Any]:
    change = window.last - window.open
    average = window.quote_volume / window.volume if window.volume else Decimal(0)
    row: dict[str, Any] = {
        "symbol": name,
        "priceChange": _text(change),
        "priceChangePercent": f"{change / window.open * 100:.3f}",
        "weightedAvgPrice": f"{average:.8f}",
        "prevClosePrice": _text(window.previous_close),
        "lastPrice": _text(window.last),
        "lastQty": _text(window.last_size),
        "bidPrice": _text(window.bid),
        "bidQty": _text(window.bid_size),
        "askPrice": _text(window.ask),
        "askQty": _text(window.ask_size),
        "openPrice": _text(window.open),
        "highPrice": _text(window.high),
        "lowPrice": _text(window.low),
        "volume": _text(window.volume),
        "quoteVolume": _text(window.quote_volume),
        "openTime": now_ms - DAY_MS,
        "closeTime": now_ms,
        "firstId": window.first_id,
        "lastId": window.last_id,
        "count": window.trades,
    }
    return row if kind == "FULL" else {field: row[field] for field in MINI_FIELDS}


def _kline_row(bar: Bar) -> list[Any]:
    return [
        bar.open_ms,
        _text(bar.open),
        _text(bar.high),
        _text(bar.low),
        _text(bar.close),
        _text(bar.volume),
        bar.open_ms + MINUTE_MS - 1,
        _text(bar.quote_volume),
        bar.trades,
        _text(bar.taker_volume),
        _text(bar.taker_quote_volume),
        "0",
    ]


def _listing_row(listing: Listing) -> dict[str, Any]:
    tick, step = _text(listing.tick), _text(listing.step)
    return {
        "symbol": listing.base + listing.quote,
        "status": "TRADING",
        "baseAsset": listing.base,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "isSpotTradingAllowed": True,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "stepSize": step},
        ],
    }


def _text(number: Decimal) -> str:
    """Eight decimals as at Binance, more where the number has more: nothing is rounded."""
    exponent = number.as_tuple().exponent
    is_longer = isinstance(exponent, int) and exponent < -8
    return format(number, "f") if is_longer else f"{number:.8f}"


DIALECT = Dialect(
    name="binance",
    prefix="",
    paths=tuple(
        f"/api/v3/{name}" for name in ("ping", "time", "exchangeInfo", "klines", "ticker/24hr")
    ),
    answer=answer,
    first_row=first_row,
    failures={
        "400": (400, {"code": -1100, "msg": "Illegal characters found in a parameter."}),
        "403": (403, {"code": 0, "msg": "Request blocked."}),
        "418": (418, {"code": -1003, "msg": "Way too much request weight used; IP banned."}),
        "429": (429, {"code": -1003, "msg": "Too much request weight used; current limit 6000."}),
        "451": (451, {"code": 0, "msg": "Service unavailable from a restricted location."}),
        "500": (500, {"code": -1000, "msg": "An unknown error occurred."}),
        "error_under_200": (200, {"code": -1000, "msg": "An unknown error occurred."}),
    },
    make_limits=limits,
    shows_weight=True,
)
