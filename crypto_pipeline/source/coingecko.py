"""CoinGecko: reference prices and market caps of coins in US dollars, every few minutes.

Its prices are averages over venues, so they make no candle, and its credits are few: a call
a minute would empty a free key in a week. `coins/markets` answers for symbols by market cap.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import Rejected
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.errors import (
    MarketError,
    PermanentMarketError,
    ToldToWaitError,
    TransientMarketError,
    UnexpectedBodyError,
)
from crypto_pipeline.source import coingecko_rows
from crypto_pipeline.source.client import DEFAULT_WAIT_SECONDS, MarketClient
from crypto_pipeline.source.venue import Fetched, Origin, Snapshot, gather

MARKETS = "/api/v3/coins/markets"
# Which header carries the key, by plan; the wrong one is refused with 10010 or 10011.
KEY_HEADERS = {"demo": "x-cg-demo-api-key", "pro": "x-cg-pro-api-key"}
MOST_SYMBOLS = 50
PERMANENT_CODES = frozenset({10_002, 10_005, 10_010, 10_011})


class CoinGecko:
    """A `Venue` without candles. Symbols are `BASE-USD`, whatever the watch-list quotes in."""

    name = "coingecko"
    candle_page = 0
    candle_reach = None

    def __init__(self, client: MarketClient) -> None:
        self._client = client

    def fetch_snapshot(self, symbols: Sequence[str] | None) -> Snapshot:
        asked = tuple(symbols or ())
        pages = [asked[n : n + MOST_SYMBOLS] for n in range(0, len(asked), MOST_SYMBOLS)]
        parts, failures = gather([partial(self._page, page) for page in pages])
        return Snapshot(parts=parts, failures=failures)

    def fetch_candles(self, symbol: str, start: datetime, end: datetime) -> Fetched:
        raise PermanentMarketError("CoinGecko gives no 1-minute candles. Ask a venue for them.")

    def parse_snapshot(
        self, body: str, *, origin: Origin, symbols: Sequence[str]
    ) -> tuple[list[Tick], list[Rejected]]:
        names = {coin(symbol): symbol for symbol in symbols}
        return coingecko_rows.parse_snapshot(body, origin=origin, names=names)

    def parse_candles(
        self, body: str, *, origin: Origin, symbol: str, finished_by: datetime, is_backfill: bool
    ) -> tuple[list[Candle], list[Rejected]]:
        return [], []

    def server_time(self) -> datetime:
        return datetime.now(UTC)

    def listed_symbols(self) -> frozenset[str]:
        """Not asked for: thousands of coins share symbols, so a list would mislead."""
        return frozenset()

    def _page(self, symbols: Sequence[str]) -> Fetched:
        query = {
            "vs_currency": "usd",
            "symbols": ",".join(coin(symbol) for symbol in symbols),
            "include_tokens": "top",
            "order": "market_cap_desc",
            "per_page": "250",
        }
        answer = self._client.get(MARKETS, query)
        return Fetched(
            body=answer.text,
            endpoint=MARKETS,
            budget_used=answer.budget_used,
            symbols=tuple(symbols),
        )


def reference_symbols(symbols: Sequence[str]) -> tuple[str, ...]:
    """
    >>> reference_symbols(["BTC-USDT", "BTC-EUR", "ETH-BTC"])
    ('BTC-USD', 'ETH-USD')
    """
    return tuple(dict.fromkeys(f"{symbol.partition('-')[0]}-USD" for symbol in symbols))


def coin(symbol: str) -> str:
    return symbol.partition("-")[0].lower()


def judge(address: str, text: str) -> MarketError | None:
    """Errors come in three shapes, some of them under status 200.

    >>> type(judge("u", '{"status":{"error_code":429,"error_message":"slow"}}')).__name__
    'ToldToWaitError'
    >>> judge("u", "[]") is None
    True
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    code, words = _code_of(content)
    shown = f"{address} answered {words[:120]!r} ({code})."
    if code == 429:
        return ToldToWaitError(
            f"{shown} Nothing is sent there for {DEFAULT_WAIT_SECONDS:g} s.",
            retry_after_seconds=DEFAULT_WAIT_SECONDS,
        )
    if code in PERMANENT_CODES or code in (401, 403):
        return PermanentMarketError(f"{shown} Check COINGECKO_API_KEY and COINGECKO_PLAN.")
    if code is not None and code >= 500:
        return TransientMarketError(f"{shown} It is asked again at the next poll.")
    return UnexpectedBodyError(f"{shown} It is no list of coins.", body=text)


def _code_of(content: dict[str, object]) -> tuple[int | None, str]:
    inner = content.get("error", content)
    if not isinstance(inner, dict):
        return None, str(inner)
    status = inner.get("status", inner)
    if not isinstance(status, dict):
        return None, str(status)
    code = status.get("error_code")
    return code if isinstance(code, int) else None, str(status.get("error_message", ""))
