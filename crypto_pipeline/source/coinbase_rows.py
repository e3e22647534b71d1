"""Coinbase Exchange bodies to contract values; pure, and never raises for what a body holds.

`/products/BTC-USD/ticker`, one product a body, which does not name it:

    {"trade_id": 90210, "price": "67012.01", "size": "0.004", "time":
     "2024-11-22T22:00:00.123456Z", "bid": "67012.00", "ask": "67012.01",
     "volume": "21034.112"}

`/products/BTC-USD/candles`, newest first, JSON numbers: time (seconds), low, high, open, close,
volume.

    [[1732312740, 67001.5, 67020, 67010, 67012, 3.2]]
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import Rejected
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.source.body import BrokenBody, elements, whole
from crypto_pipeline.source.candle_rows import candles_of, make_candle
from crypto_pipeline.source.row import (
    RowError,
    decimal_field,
    instant_field,
    not_crossed,
    optional_decimal,
    whole_field,
)
from crypto_pipeline.source.venue import Origin

CANDLE_FIELDS = ("time", "low", "high", "open", "close", "volume")


def parse_snapshot(body: str, *, origin: Origin, symbol: str) -> tuple[list[Tick], list[Rejected]]:
    """One product's body to one tick or one rejected row."""
    part = whole(body)
    if isinstance(part, BrokenBody):
        return [], [origin.reject(part.reason, part.detail, part.rest)]
    try:
        return [_tick(part.value, part.text, origin=origin, symbol=symbol)], []
    except RowError as error:
        return [], [origin.reject(error.reason, f"{symbol}: {error}", part.text)]


def parse_candles(
    body: str, *, origin: Origin, symbol: str, finished_by: datetime, is_backfill: bool
) -> tuple[list[Candle], list[Rejected]]:
    """Rows to closed candles, oldest first."""

    def read(row: Any, text: str) -> Candle:
        if not isinstance(row, list):
            raise RowError("not_a_row", "the row is not an array")
        fields = dict(zip(CANDLE_FIELDS, row, strict=False))
        opened = {"time": f"{whole_field(fields, 'time')}000"}
        return make_candle(
            {**fields, **opened},
            text,
            origin=origin,
            symbol=symbol,
            is_backfill=is_backfill,
            open_time="time",
        )

    found, rejected = candles_of(
        elements(body), read, origin=origin, symbol=symbol, finished_by=finished_by
    )
    return sorted(found, key=lambda candle: candle.open_at), rejected


def _tick(row: Any, text: str, *, origin: Origin, symbol: str) -> Tick:
    if not isinstance(row, Mapping):
        raise RowError("not_an_object", "the body is not an object")
    bid, ask = optional_decimal(row, "bid"), optional_decimal(row, "ask")
    not_crossed(bid, ask)
    return Tick(
        market=origin.market,
        source=origin.source,
        venue=origin.venue,
        symbol=symbol,
        poll_at=origin.poll_at,
        observed_at=origin.observed_at,
        event_at=instant_field(row, "time"),
        price=decimal_field(row, "price"),
        bid=bid or None,
        ask=ask or None,
        bid_size=None,
        ask_size=None,
        open_24h=None,
        high_24h=None,
        low_24h=None,
        volume_24h=optional_decimal(row, "volume"),
        quote_volume_24h=None,
        market_cap=None,
        trades_24h=None,
        mark=str(whole_field(row, "trade_id")) if "trade_id" in row else None,
        is_unchanged=False,
        endpoint=origin.endpoint,
        record=text,
    )
