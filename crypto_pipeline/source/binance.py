"""Binance spot: its endpoints, its names for our symbols, its limits."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import Rejected
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.errors import MarketError, RequestRefusedError, WrongContentError
from crypto_pipeline.source import binance_rows
from crypto_pipeline.source.body import short
from crypto_pipeline.source.client import MarketClient
from crypto_pipeline.source.clock import instant_of
from crypto_pipeline.source.listing import Listing
from crypto_pipeline.source.venue import Fetched, Origin, Snapshot, gather

PING = "/api/v3/ping"
TIME = "/api/v3/time"
EXCHANGE_INFO = "/api/v3/exchangeInfo"
TICKER = "/api/v3/ticker/24hr"
KLINES = "/api/v3/klines"
INVALID_SYMBOL = -1121
KLINES_PAGE = 1000
SNAPSHOT_PAGE = 100
# Weights by the REST documentation of 2026-07; the header of each answer corrects our count.
KLINES_WEIGHT, EXCHANGE_INFO_WEIGHT = 2, 20


class Binance:
    """A `Venue`. One snapshot request a hundred symbols (weight 2 up to 20, 40 above), or for all.

    `listing` keeps what is traded between processes, for whole-venue mode.
    """

    name = "binance"
    candle_page = KLINES_PAGE
    candle_reach = None

    def __init__(self, client: MarketClient, *, listing: Listing | None = None) -> None:
        self._client = client
        self._listing = listing or Listing()
        self._listed: frozenset[str] | None = None
        self._lock = threading.Lock()

    def fetch_snapshot(self, symbols: Sequence[str] | None) -> Snapshot:
        """Binance fails the whole call for one unknown symbol (-1121); then the known are asked."""
        if symbols is None:
            return Snapshot(parts=(self._page(None, self._listing.symbols(self._trading)),))
        known, unknown = self._split(symbols)
        try:
            found = self._snapshot(known, unknown)
        except RequestRefusedError as error:
            if error.code != INVALID_SYMBOL:
                raise
            self.listed_symbols()
            return self._snapshot(*self._split(symbols))
        return self._whole(found, symbols, known) if _is_refused(found) else found

    def _whole(self, found: Snapshot, symbols: Sequence[str], known: Sequence[str]) -> Snapshot:
        """Once more without the symbol that a page was refused for; else what was found."""
        try:
            self.listed_symbols()
            listed, unknown = self._split(symbols)
            return found if listed == known else self._snapshot(listed, unknown)
        except MarketError:
            return found

    def fetch_candles(self, symbol: str, start: datetime, end: datetime) -> Fetched:
        query = {
            "symbol": native_name(symbol),
            "interval": "1m",
            "startTime": str(epoch_ms(start)),
            "endTime": str(epoch_ms(end) - 1),
            "limit": str(KLINES_PAGE),
        }
        answer = self._client.get(KLINES, query, weight=KLINES_WEIGHT)
        return Fetched(
            body=answer.text, endpoint=KLINES, budget_used=answer.budget_used, symbols=(symbol,)
        )

    def parse_snapshot(
        self, body: str, *, origin: Origin, symbols: Sequence[str]
    ) -> tuple[list[Tick], list[Rejected]]:
        names = {native_name(symbol): symbol for symbol in symbols}
        return binance_rows.parse_snapshot(body, origin=origin, names=names)

    def parse_candles(
        self, body: str, *, origin: Origin, symbol: str, finished_by: datetime, is_backfill: bool
    ) -> tuple[list[Candle], list[Rejected]]:
        return binance_rows.parse_candles(
            body,
            origin=origin,
            symbol=symbol,
            finished_by=finished_by,
            is_backfill=is_backfill,
        )

    def server_time(self) -> datetime:
        content = self._object(TIME, {})
        moment = instant_of(content.get("serverTime"), per_second=1000)
        if moment is None:
            raise WrongContentError(
                f"{TIME} gave {short(content)} without serverTime. Check the address of the venue."
            )
        return moment

    def listed_symbols(self) -> frozenset[str]:
        """All `BASE-QUOTE` that the venue lists, whatever their status; asked once, then kept."""
        with self._lock:
            if self._listed is None:
                self._listed = frozenset(_listed(self._exchange_info()))
            return self._listed

    def _trading(self) -> frozenset[str]:
        return frozenset(_listed(self._exchange_info(), status="TRADING"))

    def _exchange_info(self) -> Any:
        query = {"showPermissionSets": "false"}
        return self._object(EXCHANGE_INFO, query, weight=EXCHANGE_INFO_WEIGHT).get("symbols")

    def _snapshot(self, known: Sequence[str], unknown: Sequence[str]) -> Snapshot:
        pages = [known[n : n + SNAPSHOT_PAGE] for n in range(0, len(known), SNAPSHOT_PAGE)]
        parts, failures = gather([partial(self._page, page, page) for page in pages])
        return Snapshot(parts=parts, unknown=tuple(unknown), failures=failures)

    def _page(self, asked: Sequence[str] | None, symbols: Sequence[str]) -> Fetched:
        """The rows of the symbols asked for; of everything that trades where `asked` is None."""
        if asked is None:
            query, weight = {"symbolStatus": "TRADING"}, snapshot_weight(101)
        else:
            names = json.dumps([native_name(symbol) for symbol in asked], separators=(",", ":"))
            query, weight = {"symbols": names}, snapshot_weight(len(asked))
        answer = self._client.get(TICKER, query, weight=weight)
        return Fetched(
            body=answer.text,
            endpoint=TICKER,
            budget_used=answer.budget_used,
            symbols=tuple(symbols),
        )

    def _split(self, symbols: Sequence[str]) -> tuple[list[str], list[str]]:
        """Known and unknown; all count as known until the venue has refused a call."""
        listed = self._listed
        if listed is None:
            return list(symbols), []
        known = [symbol for symbol in symbols if symbol in listed]
        return known, [symbol for symbol in symbols if symbol not in listed]

    def _object(self, path: str, query: dict[str, str], *, weight: int = 1) -> dict[str, Any]:
        text = self._client.get(path, query, weight=weight).text
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise WrongContentError(
                f"{path} gave no JSON but {text[:80]!r}. Check the address of the venue."
            ) from error
        if not isinstance(content, dict):
            raise WrongContentError(
                f"{path} gave {text[:80]!r}, not an object. Check the address of the venue."
            )
        return content


def _is_refused(found: Snapshot) -> bool:
    """Whether a page of several was refused for a symbol in it."""
    refusals = [one for one in found.failures if isinstance(one, RequestRefusedError)]
    return any(one.code == INVALID_SYMBOL for one in refusals)


def native_name(symbol: str) -> str:
    """
    >>> native_name("BTC-USDT")
    'BTCUSDT'
    """
    return symbol.replace("-", "")


def snapshot_weight(symbols: int) -> int:
    """
    >>> [snapshot_weight(count) for count in (1, 20, 21, 100, 101)]
    [2, 2, 40, 40, 80]
    """
    return 2 if symbols <= 20 else 40 if symbols <= 100 else 80


def epoch_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _listed(rows: Any, *, status: str | None = None) -> Iterable[str]:
    if not isinstance(rows, list) or not rows:
        raise WrongContentError(
            f"{EXCHANGE_INFO} lists no symbols. Check the address of the venue."
        )
    return [
        f"{row['baseAsset']}-{row['quoteAsset']}"
        for row in rows
        if isinstance(row, dict) and "baseAsset" in row and "quoteAsset" in row
        if status is None or row.get("status") == status
    ]
