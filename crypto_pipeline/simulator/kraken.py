"""Kraken spot's dialect: its names, strings in arrays, errors under status 200.

After the public documentation of the REST API (market data): `Ticker` has no time at all, and
`OHLC` gives the newest 720 minutes with the running one last, whatever `since` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from crypto_pipeline.simulator.dialect import Answer, Dialect, Question, RefusedError, Row
from crypto_pipeline.simulator.limits import Limit, PerSecond
from crypto_pipeline.simulator.market import MINUTE_MS, Bar, Listing, Market, Window

THEIRS = {"BTC": "XBT", "DOGE": "XDG"}
# Assets of the early years carry a letter for their class, next to money only.
OLD_ASSETS = frozenset({"XBT", "ETH", "LTC", "XRP", "XLM"})
MONEY = frozenset({"USD", "EUR", "GBP", "JPY"})
ROWS = 720
CODES = {
    "429": "EAPI:Rate limit exceeded",
    "throttled": "EGeneral:Too many requests",
    "lockout": "EGeneral:Temporary lockout",
    "unavailable": "EService:Unavailable",
    "busy": "EService:Busy",
    "401": "EAPI:Invalid key",
    "denied": "EGeneral:Permission denied",
    "unknown_error": "EFuture:Something new",
}


def answer(market: Market, asked: Question) -> Answer:
    match asked.path:
        case "/0/public/Time":
            return Answer(_result(_time(asked.now_ms)))
        case "/0/public/AssetPairs":
            return Answer(_result(dict(_pair(listing) for listing in market.listings())))
        case "/0/public/OHLC":
            return Answer(_result(_ohlc(market, asked)))
        case _:
            return Answer(_result(_tickers(market, asked)))


def first_row(content: Any) -> Row | None:
    result = content.get("result") if isinstance(content, dict) else None
    name, row = next(iter(result.items()), ("", None)) if isinstance(result, dict) else ("", None)
    if isinstance(row, dict) and "c" in row:
        return Row(row=(result, name), price=(row["c"], 0), bid=(row["b"], 0), ask=(row["a"], 0))
    if isinstance(row, list) and row:
        return Row(row=(row, 0), price=(row[0], 4))
    return None


def limits(factor: float) -> tuple[Limit, ...]:
    return (PerSecond(rate=factor, burst=1.0),)


def alternative_name(listing: Listing) -> str:
    """
    >>> alternative_name(Listing(symbol="BTC-USD", tick=1, step=1))
    'XBTUSD'
    """
    return "".join(THEIRS.get(part, part) for part in (listing.base, listing.quote))


def result_name(listing: Listing) -> str:
    """
    >>> result_name(Listing(symbol="BTC-USD", tick=1, step=1))
    'XXBTZUSD'
    """
    base, quote = (THEIRS.get(part, part) for part in (listing.base, listing.quote))
    return f"X{base}Z{quote}" if base in OLD_ASSETS and quote in MONEY else f"{base}{quote}"


def _result(content: Any) -> dict[str, Any]:
    return {"error": [], "result": content}


def _time(now_ms: int) -> dict[str, Any]:
    moment = datetime.fromtimestamp(now_ms // 1000, UTC)
    return {"unixtime": now_ms // 1000, "rfc1123": format_datetime(moment, usegmt=True)}


def _pair(listing: Listing) -> tuple[str, dict[str, Any]]:
    base, quote = (THEIRS.get(part, part) for part in (listing.base, listing.quote))
    names = {"altname": alternative_name(listing), "wsname": f"{base}/{quote}"}
    return result_name(listing), {**names, "base": base, "quote": quote, "status": "online"}


def _asked(market: Market, query: Mapping[str, str]) -> list[Listing]:
    listings = list(market.listings())
    if "pair" not in query:
        return listings
    names = {alternative_name(one): one for one in listings}
    names |= {result_name(one): one for one in listings}
    asked = query["pair"].split(",")
    if any(name not in names for name in asked):
        raise RefusedError(200, {"error": ["EQuery:Unknown asset pair"]})
    return [names[name] for name in asked]


def _tickers(market: Market, asked: Question) -> dict[str, Any]:
    windows = {
        result_name(one): market.window(one.symbol, asked.now_ms)
        for one in _asked(market, asked.query)
    }
    return {name: _ticker(window) for name, window in windows.items() if window is not None}


def _ticker(window: Window) -> dict[str, Any]:
    price, volume, trades = f"{window.last:f}", f"{window.volume:.8f}", window.trades
    # A count that grows with every trade stands for today's own count.
    today = window.last_id % 1_000_000_000
    average = window.quote_volume / window.volume if window.volume else window.last
    return {
        "a": [f"{window.ask:f}", "1", f"{window.ask_size:.3f}"],
        "b": [f"{window.bid:f}", "1", f"{window.bid_size:.3f}"],
        "c": [price, f"{window.last_size:.8f}"],
        "v": [volume, volume],
        "p": [f"{average:.5f}", f"{average:.5f}"],
        "t": [today, trades],
        "l": [f"{window.low:f}", f"{window.low:f}"],
        "h": [f"{window.high:f}", f"{window.high:f}"],
        "o": f"{window.open:f}",
    }


def _ohlc(market: Market, asked: Question) -> dict[str, Any]:
    (listing,) = _asked(market, asked.query)
    first = asked.now_ms - asked.now_ms % MINUTE_MS - (ROWS - 1) * MINUTE_MS
    bars = market.bars(listing.symbol, first, asked.now_ms, asked.now_ms)
    since = int(asked.query.get("since", "0"))
    rows = [_row(bar) for bar in bars if bar.open_ms // 1000 > since]
    last = rows[-2][0] if len(rows) > 1 else since
    return {result_name(listing): rows, "last": last}


def _row(bar: Bar) -> list[Any]:
    prices = [f"{price:f}" for price in (bar.open, bar.high, bar.low, bar.close)]
    average = bar.quote_volume / bar.volume if bar.volume else bar.close
    return [bar.open_ms // 1000, *prices, f"{average:.5f}", f"{bar.volume:.8f}", bar.trades]


DIALECT = Dialect(
    name="kraken",
    prefix="/kraken",
    paths=tuple(f"/0/public/{name}" for name in ("Time", "AssetPairs", "Ticker", "OHLC")),
    answer=answer,
    first_row=first_row,
    failures={
        **{kind: (200, {"error": [code]}) for kind, code in CODES.items()},
        "451": (403, {"error": ["EGeneral:Permission denied"]}),
    },
    make_limits=limits,
)
