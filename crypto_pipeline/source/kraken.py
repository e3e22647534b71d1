"""Kraken spot: its endpoints, its names for our symbols, its errors under status 200."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import Rejected
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.errors import (
    MarketError,
    PermanentMarketError,
    RequestRefusedError,
    ToldToWaitError,
    TransientMarketError,
    UnexpectedBodyError,
    WrongContentError,
)
from crypto_pipeline.source import kraken_rows
from crypto_pipeline.source.body import in_ascii
from crypto_pipeline.source.client import MarketClient
from crypto_pipeline.source.clock import instant_of
from crypto_pipeline.source.kraken_rows import native_name, our_name, result_names
from crypto_pipeline.source.listing import Listing
from crypto_pipeline.source.venue import Fetched, Origin, Snapshot

TIME = "/0/public/Time"
TICKER = "/0/public/Ticker"
OHLC = "/0/public/OHLC"
PAIRS = "/0/public/AssetPairs"
# Whatever `since` says, only so many of the newest minutes are given.
OHLC_ROWS = 720
UNKNOWN_PAIR = "EQuery:Unknown asset pair"

# Beginnings of its error codes; the documentation gives no waiting times, so these are ours.
WAITS = {
    "EGeneral:Too many requests": 10.0,
    "EAPI:Rate limit exceeded": 10.0,
    "EService:Throttled": 10.0,
    "EGeneral:Temporary lockout": 900.0,
}
TRANSIENT = ("EService:Unavailable", "EService:Busy", "EService:Timeout", "EGeneral:Internal error")
PERMANENT = ("EGeneral:Permission denied", "EAPI:Invalid key", "EService:Market in cancel_only")
REFUSED = ("EQuery:", "EGeneral:Invalid arguments", "EGeneral:Unknown method")


class Kraken:
    """A `Venue`. One request for all pairs; about one request a second is what it bears."""

    name = "kraken"
    candle_page = OHLC_ROWS
    # The newest row is of the minute that still runs.
    candle_reach = OHLC_ROWS - 1

    def __init__(self, client: MarketClient, *, listing: Listing | None = None) -> None:
        self._client = client
        self._listing = listing or Listing()
        self._listed: frozenset[str] | None = None

    def fetch_snapshot(self, symbols: Sequence[str] | None) -> Snapshot:
        """One unknown pair fails the whole call; then those that are listed are asked."""
        if symbols is None:
            return self._everything()
        try:
            return self._snapshot(symbols, ())
        except RequestRefusedError as error:
            if error.code != UNKNOWN_PAIR:
                raise
        listed = self.listed_symbols()
        unknown = [symbol for symbol in symbols if symbol not in listed]
        return self._snapshot([symbol for symbol in symbols if symbol in listed], unknown)

    def fetch_candles(self, symbol: str, start: datetime, end: datetime) -> Fetched:
        """All rows since `start`: there is no end to ask for."""
        since = str(int((start - timedelta(seconds=1)).timestamp()))
        query = {"pair": native_name(symbol), "interval": "1", "since": since}
        answer = self._client.get(OHLC, query)
        return Fetched(
            body=answer.text, endpoint=OHLC, budget_used=answer.budget_used, symbols=(symbol,)
        )

    def parse_snapshot(
        self, body: str, *, origin: Origin, symbols: Sequence[str]
    ) -> tuple[list[Tick], list[Rejected]]:
        return kraken_rows.parse_snapshot(body, origin=origin, names=result_names(symbols))

    def parse_candles(
        self, body: str, *, origin: Origin, symbol: str, finished_by: datetime, is_backfill: bool
    ) -> tuple[list[Candle], list[Rejected]]:
        return kraken_rows.parse_candles(
            body,
            origin=origin,
            symbol=symbol,
            finished_by=finished_by,
            is_backfill=is_backfill,
        )

    def server_time(self) -> datetime:
        moment = instant_of(self._result(TIME, {}).get("unixtime"))
        if moment is None:
            raise WrongContentError(
                f"{TIME} gave no unixtime. Check the address of the venue in KRAKEN_URL."
            )
        return moment

    def listed_symbols(self) -> frozenset[str]:
        """All pairs by our names; asked once, then kept."""
        if self._listed is None:
            pairs = self._result(PAIRS, {}).values()
            names = [p.get("wsname") for p in pairs if isinstance(p, dict)]
            ours = [our_name(name) for name in names if isinstance(name, str)]
            self._listed = frozenset(name for name in ours if name)
        return self._listed

    def _everything(self) -> Snapshot:
        symbols = self._listing.symbols(self.listed_symbols)
        answer = self._client.get(TICKER)
        part = Fetched(
            body=answer.text,
            endpoint=TICKER,
            budget_used=answer.budget_used,
            symbols=symbols,
        )
        return Snapshot(parts=(part,))

    def _snapshot(self, symbols: Sequence[str], unknown: Sequence[str]) -> Snapshot:
        if not symbols:
            return Snapshot(parts=(), unknown=tuple(unknown))
        pairs = ",".join(native_name(symbol) for symbol in symbols)
        answer = self._client.get(TICKER, {"pair": pairs})
        part = Fetched(
            body=answer.text,
            endpoint=TICKER,
            budget_used=answer.budget_used,
            symbols=tuple(symbols),
        )
        return Snapshot(parts=(part,), unknown=tuple(unknown))

    def _result(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        text = self._client.get(path, query).text
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise WrongContentError(
                f"{path} gave no JSON but {text[:80]!r}. Check the address in KRAKEN_URL."
            ) from error
        result = content.get("result") if isinstance(content, dict) else None
        if not isinstance(result, dict):
            raise WrongContentError(
                f"{path} gave {text[:80]!r} without a result. Check the address in KRAKEN_URL."
            )
        return result


def judge(address: str, text: str) -> MarketError | None:
    """Kraken's errors come under status 200; codes that begin with W are warnings.

    Pairs that came along are kept, whatever else the body says: the parser rejects the rest.

    >>> type(judge("u", '{"error":["EService:Unavailable"]}')).__name__
    'TransientMarketError'
    >>> judge("u", '{"error":["WGeneral:Danger"],"result":{}}') is None
    True
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(content, dict) and content.get("result"):
        return None
    codes = content.get("error") if isinstance(content, dict) else None
    if not isinstance(codes, list):
        return UnexpectedBodyError(
            f"{address} gave {text[:80]!r} without its list of errors. Check KRAKEN_URL.", body=text
        )
    errors = [code for code in codes if isinstance(code, str) and not code.startswith("W")]
    return _error_of(address, errors[0], text) if errors else None


def _error_of(address: str, code: str, text: str) -> MarketError:
    shown = f"{address} answered {in_ascii(code)}."
    for beginning, seconds in WAITS.items():
        if code.startswith(beginning):
            return ToldToWaitError(
                f"{shown} Nothing is sent there for {seconds:g} s.", retry_after_seconds=seconds
            )
    if code.startswith(TRANSIENT):
        return TransientMarketError(f"{shown} It is asked again at the next poll.")
    if code.startswith(REFUSED):
        return RequestRefusedError(f"{shown} Check SYMBOLS.", code=code)
    if code.startswith(PERMANENT):
        return PermanentMarketError(f"{shown} Name another venue in VENUES.")
    return UnexpectedBodyError(f"{shown} This code is not known here.", body=text)
