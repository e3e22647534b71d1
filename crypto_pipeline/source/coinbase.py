"""Coinbase Exchange: its endpoints, one product a request, its limits."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import Rejected
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.errors import MarketError, RequestRefusedError, WrongContentError
from crypto_pipeline.source import coinbase_rows
from crypto_pipeline.source.client import MarketClient
from crypto_pipeline.source.clock import instant_of
from crypto_pipeline.source.venue import PAGES_SECONDS, Fetched, Origin, Snapshot, too_late

TIME = "/time"
PRODUCTS = "/products"
NOT_FOUND = "NotFound"
CANDLES_PAGE = 300
THREADS = 5
MINUTE = timedelta(minutes=1)


class Coinbase:
    """A `Venue`. Its bulk statistics can be minutes old, so each product is asked by itself."""

    name = "coinbase"
    candle_page = CANDLES_PAGE
    candle_reach = None

    def __init__(self, client: MarketClient) -> None:
        self._client = client

    def fetch_snapshot(self, symbols: Sequence[str] | None) -> Snapshot:
        if symbols is None:
            raise RequestRefusedError(
                "Coinbase answers for one product at a time. Name symbols in SYMBOLS, or leave "
                "coinbase out of VENUES.",
                code=None,
            )
        started, has_failed = time.monotonic(), threading.Event()

        def ask(symbol: str) -> Fetched | MarketError:
            if has_failed.is_set() and time.monotonic() - started > PAGES_SECONDS:
                return too_late(f"{symbol} was")
            answer = self._ticker(symbol)
            if isinstance(answer, MarketError):
                has_failed.set()
            return answer

        with ThreadPoolExecutor(THREADS) as pool:
            answers = list(pool.map(ask, symbols))
        parts = tuple(answer for answer in answers if isinstance(answer, Fetched))
        errors = [
            (symbol, answer)
            for symbol, answer in zip(symbols, answers, strict=True)
            if isinstance(answer, MarketError)
        ]
        unknown = tuple(symbol for symbol, error in errors if _is_unknown(error))
        failures = tuple(error for _, error in errors if not _is_unknown(error))
        if failures and not parts:
            raise failures[0]
        return Snapshot(parts=parts, unknown=unknown, failures=failures)

    def fetch_candles(self, symbol: str, start: datetime, end: datetime) -> Fetched:
        path = f"{PRODUCTS}/{symbol}/candles"
        last = end - MINUTE
        query = {"granularity": "60", "start": start.isoformat(), "end": last.isoformat()}
        answer = self._client.get(path, query)
        return Fetched(
            body=answer.text, endpoint=path, budget_used=answer.budget_used, symbols=(symbol,)
        )

    def parse_snapshot(
        self, body: str, *, origin: Origin, symbols: Sequence[str]
    ) -> tuple[list[Tick], list[Rejected]]:
        """A part is one product, whose name only the request knew."""
        return coinbase_rows.parse_snapshot(body, origin=origin, symbol=symbols[0])

    def parse_candles(
        self, body: str, *, origin: Origin, symbol: str, finished_by: datetime, is_backfill: bool
    ) -> tuple[list[Candle], list[Rejected]]:
        return coinbase_rows.parse_candles(
            body,
            origin=origin,
            symbol=symbol,
            finished_by=finished_by,
            is_backfill=is_backfill,
        )

    def server_time(self) -> datetime:
        content = self._content(TIME)
        moment = instant_of(content.get("epoch") if isinstance(content, dict) else None)
        if moment is None:
            raise WrongContentError(
                f"{TIME} gave no epoch. Check the address of the venue in COINBASE_URL."
            )
        return moment

    def listed_symbols(self) -> frozenset[str]:
        content = self._content(PRODUCTS)
        rows = content if isinstance(content, list) else []
        return frozenset(str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row)

    def _ticker(self, symbol: str) -> Fetched | MarketError:
        path = f"{PRODUCTS}/{symbol}/ticker"
        try:
            answer = self._client.get(path)
        except MarketError as error:
            return error
        return Fetched(
            body=answer.text, endpoint=path, budget_used=answer.budget_used, symbols=(symbol,)
        )

    def _content(self, path: str) -> Any:
        text = self._client.get(path).text
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise WrongContentError(
                f"{path} gave no JSON but {text[:80]!r}. Check the address in COINBASE_URL."
            ) from error


def _is_unknown(error: MarketError) -> bool:
    return isinstance(error, RequestRefusedError) and error.code == NOT_FOUND
