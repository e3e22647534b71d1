"""CoinGecko bodies to contract values; pure, and never raises for what a body holds.

A row of `coins/markets`, JSON numbers, many of them nullable:

    {"id": "bitcoin", "symbol": "btc", "name": "Bitcoin", "current_price": 67012.01,
     "market_cap": 1325874321987, "market_cap_rank": 1, "total_volume": 38123987123,
     "high_24h": 67400.1, "low_24h": 66100.5, "last_updated": "2024-11-22T22:00:00.123Z"}

Prices are indices over many venues: a reference, never a candle.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from crypto_pipeline.contract.poll import Rejected
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.source.body import BrokenBody, elements
from crypto_pipeline.source.row import (
    RowError,
    decimal_field,
    instant_field,
    optional_decimal,
)
from crypto_pipeline.source.venue import Origin


def parse_snapshot(
    body: str, *, origin: Origin, names: Mapping[str, str]
) -> tuple[list[Tick], list[Rejected]]:
    """Rows to ticks; `names` maps CoinGecko's lower-case symbols to `BASE-USD`.

    Several coins may share a symbol; rows come by market cap, so the first one is meant.
    """
    ticks: dict[str, Tick] = {}
    rejected = []
    for part in elements(body):
        if isinstance(part, BrokenBody):
            rejected.append(origin.reject(part.reason, part.detail, part.rest))
            continue
        try:
            tick = _tick(part.value, part.text, origin=origin, names=names)
            if tick.symbol in ticks:
                raise RowError("repeated_symbol", f"{tick.symbol} came before in this body")
        except RowError as error:
            rejected.append(origin.reject(error.reason, str(error), part.text))
        else:
            ticks[tick.symbol] = tick
    return list(ticks.values()), rejected


def _tick(row: Any, text: str, *, origin: Origin, names: Mapping[str, str]) -> Tick:
    if not isinstance(row, Mapping):
        raise RowError("not_an_object", "the row is not an object")
    if "symbol" not in row:
        raise RowError("missing_field", "symbol is missing")
    if not isinstance(row["symbol"], str) or row["symbol"] not in names:
        raise RowError("unknown_symbol", f"symbol {ascii(row['symbol'])[:60]} was not asked for")
    updated = _given(row, "last_updated")
    return Tick(
        market=origin.market,
        source=origin.source,
        venue=origin.venue,
        symbol=names[row["symbol"]],
        poll_at=origin.poll_at,
        observed_at=origin.observed_at,
        event_at=instant_field(row, "last_updated") if updated else None,
        price=decimal_field(row, "current_price"),
        bid=None,
        ask=None,
        bid_size=None,
        ask_size=None,
        open_24h=None,
        high_24h=_nullable(row, "high_24h"),
        low_24h=_nullable(row, "low_24h"),
        volume_24h=None,
        quote_volume_24h=_nullable(row, "total_volume"),
        market_cap=_nullable(row, "market_cap"),
        trades_24h=None,
        mark=row["last_updated"] if updated else None,
        is_unchanged=False,
        endpoint=origin.endpoint,
        record=text,
    )


def _given(row: Mapping[Any, Any], name: str) -> bool:
    return row.get(name) is not None


def _nullable(row: Mapping[Any, Any], name: str) -> Decimal | None:
    """A new listing has null where an old one has a number."""
    return optional_decimal(row, name) if _given(row, name) else None
