"""CoinGecko's dialect: one list of coins as JSON numbers, cached for a minute, keys in headers.

After the public documentation of `coins/markets`, of authentication and of errors, which come in
three shapes. This host is the free one: a paid key in its header is sent to the other host.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from crypto_pipeline.simulator.dialect import Answer, Dialect, Question, RefusedError, Row
from crypto_pipeline.simulator.limits import Limit, PerWindow
from crypto_pipeline.simulator.market import DAY_MS, MINUTE_MS, Listing, Market, Window

DOLLARS = ("USD", "USDT", "USDC")
WRONG_KEY = "wrong"
CALLS_A_MINUTE, CREDITS_A_MONTH = 30, 10_000
SUPPLY = 19_000_000


def answer(market: Market, asked: Question) -> Answer:
    _check_key(asked)
    if asked.path.endswith("/ping"):
        return Answer({"gecko_says": "(V3) To the Moon!"})
    if asked.query.get("vs_currency") is None:
        raise RefusedError(422, {"error": "Missing parameter vs_currency"})
    wanted = asked.query.get("symbols", "").split(",")
    coins = {one.base.lower(): one for one in reversed(_in_dollars(market))}
    cached_ms = asked.now_ms - asked.now_ms % MINUTE_MS
    rows = [
        _row(rank, coins[name], window, cached_ms)
        for rank, name in enumerate(wanted, 1)
        if name in coins and (window := market.window(coins[name].symbol, cached_ms)) is not None
    ]
    return Answer(rows)


def first_row(content: Any) -> Row | None:
    if isinstance(content, list) and content and "current_price" in content[0]:
        return Row(row=(content, 0), price=(content[0], "current_price"))
    return None


def limits(factor: float) -> tuple[Limit, ...]:
    minute = PerWindow(CALLS_A_MINUTE * factor, MINUTE_MS)
    return (minute, PerWindow(CREDITS_A_MONTH * factor, 30 * DAY_MS))


def _check_key(asked: Question) -> None:
    if "x-cg-pro-api-key" in asked.headers:
        words = "If you are using Pro API key, please change your root URL to the paid host."
        raise RefusedError(400, {"status": {"error_code": 10010, "error_message": words}})
    if asked.headers.get("x-cg-demo-api-key") == WRONG_KEY:
        status = {"error_code": 10002, "error_message": "API Key Missing"}
        raise RefusedError(401, {"error": {"status": status}})


def _in_dollars(market: Market) -> list[Listing]:
    return [one for one in market.listings() if one.quote in DOLLARS]


def _row(rank: int, listing: Listing, window: Window, updated_ms: int) -> dict[str, Any]:
    updated = datetime.fromtimestamp(updated_ms / 1000, UTC)
    return {
        "id": listing.base.lower(),
        "symbol": listing.base.lower(),
        "name": listing.base,
        "current_price": float(window.last),
        "market_cap": int(window.last * SUPPLY),
        "market_cap_rank": rank,
        "total_volume": float(window.quote_volume),
        "high_24h": float(window.high),
        "low_24h": float(window.low),
        "price_change_24h": float(window.last - window.open),
        "max_supply": None,
        "roi": None,
        "last_updated": updated.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _status(code: int, words: str) -> dict[str, Any]:
    return {"status": {"error_code": code, "error_message": words}}


DIALECT = Dialect(
    name="coingecko",
    prefix="/coingecko",
    paths=("/api/v3/ping", "/api/v3/coins/markets"),
    answer=answer,
    first_row=first_row,
    failures={
        "401": (401, {"error": _status(10002, "API Key Missing")}),
        "403": (403, _status(403, "Forbidden")),
        "429": (429, _status(429, "You've exceeded the Rate Limit.")),
        "wrong_host": (400, _status(10010, "Please change your root URL.")),
        "error_under_200": (200, _status(429, "You've exceeded the Rate Limit.")),
        "500": (500, {"status": 500, "error": "Internal Server Error"}),
    },
    make_limits=limits,
)
