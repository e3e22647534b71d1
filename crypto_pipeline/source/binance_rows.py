"""Binance spot bodies to contract values; pure, and never raises for what a body holds.

A row of `ticker/24hr`, FULL (MINI lacks bid and ask):

    {"symbol": "BTCUSDT", "lastPrice": "67012.01000000", "bidPrice": "67012.00000000",
     "bidQty": "1.20000000", "askPrice": "67012.01000000", "askQty": "0.40000000",
     "openPrice": "66500.00000000", "highPrice": "67400.00000000",
     "lowPrice": "66100.50000000", "volume": "21034.11200000",
     "quoteVolume": "1404519034.12000000", "openTime": 1732226400000,
     "closeTime": 1732312800000, "firstId": 1, "lastId": 90210, "count": 90210}

A row of `klines`: open time, open, high, low, close, volume, close time, quote volume,
trades, taker base volume, taker quote volume, unused.

    [1732312740000, "67010.0", "67020.0", "67001.5", "67012.0", "3.2", 1732312799999,
     "214431.1", 812, "1.6", "107215.0", "0"]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import Rejected
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.source.binance_typed import rows_of, usual_tick
from crypto_pipeline.source.body import BrokenBody, Element, elements
from crypto_pipeline.source.candle_rows import candles_of, make_candle
from crypto_pipeline.source.row import (
    RowError,
    count_field,
    decimal_field,
    not_crossed,
    optional_decimal,
    time_field,
    whole_field,
)
from crypto_pipeline.source.venue import Origin

KLINE_FIELDS = (
    "open time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close time",
    "quote volume",
    "trades",
)


def parse_snapshot(
    body: str, *, origin: Origin, names: Mapping[str, str]
) -> tuple[list[Tick], list[Rejected]]:
    """Rows to ticks; `names` maps the venue's names asked for to `BASE-QUOTE`.

    Reason codes: not_json, not_an_array, not_an_object, missing_field, not_a_number,
    not_positive, out_of_range, crossed, unknown_symbol, repeated_symbol. A venue without a
    trade shows price 0: that row is not_positive.
    """
    ticks: dict[str, Tick] = {}
    rejected = []
    for found in _read(body, origin=origin, names=names):
        if isinstance(found, Rejected):
            rejected.append(found)
        elif found.symbol in ticks:
            detail = f"{found.symbol} came before in this body"
            rejected.append(origin.reject("repeated_symbol", detail, found.record))
        else:
            ticks[found.symbol] = found
    return list(ticks.values()), rejected


def _read(body: str, *, origin: Origin, names: Mapping[str, str]) -> Iterator[Tick | Rejected]:
    """Usual rows by their type, all others carefully; a body that breaks off wholly so."""
    records = rows_of(body)
    if records is None:
        yield from (_careful(part, origin=origin, names=names) for part in elements(body))
        return
    for record in records:
        tick = usual_tick(record, origin=origin, names=names)
        if tick is None:
            part = next(elements(f"[{record.decode()}]"))
            yield _careful(part, origin=origin, names=names)
        else:
            yield tick


def _careful(
    part: Element | BrokenBody, *, origin: Origin, names: Mapping[str, str]
) -> Tick | Rejected:
    if isinstance(part, BrokenBody):
        return origin.reject(part.reason, part.detail, part.rest)
    try:
        return _tick(part.value, part.text, origin=origin, names=names)
    except RowError as error:
        return origin.reject(error.reason, str(error), part.text)


def parse_candles(
    body: str, *, origin: Origin, symbol: str, finished_by: datetime, is_backfill: bool
) -> tuple[list[Candle], list[Rejected]]:
    """Rows to closed candles. Reason codes as above and: not_a_row, not_a_minute, torn.

    `torn` is a candle whose high or low contradicts its other prices.
    """

    def read(row: Any, text: str) -> Candle:
        if not isinstance(row, list):
            raise RowError("not_a_row", "the row is not an array")
        return make_candle(
            dict(zip(KLINE_FIELDS, row, strict=False)),
            text,
            origin=origin,
            symbol=symbol,
            is_backfill=is_backfill,
            open_time="open time",
            close_time="close time",
            quote_volume="quote volume",
        )

    return candles_of(elements(body), read, origin=origin, symbol=symbol, finished_by=finished_by)


def _tick(row: Any, text: str, *, origin: Origin, names: Mapping[str, str]) -> Tick:
    if not isinstance(row, dict):
        raise RowError("not_an_object", "the row is not an object")
    if "symbol" not in row:
        raise RowError("missing_field", "symbol is missing")
    if not isinstance(row["symbol"], str) or row["symbol"] not in names:
        raise RowError("unknown_symbol", f"symbol {ascii(row['symbol'])[:60]} was not asked for")
    price = decimal_field(row, "lastPrice")
    bid, ask = optional_decimal(row, "bidPrice"), optional_decimal(row, "askPrice")
    not_crossed(bid, ask)
    return Tick(
        market=origin.market,
        source=origin.source,
        venue=origin.venue,
        symbol=names[row["symbol"]],
        poll_at=origin.poll_at,
        observed_at=origin.observed_at,
        event_at=time_field(row, "closeTime"),
        price=price,
        bid=bid or None,
        ask=ask or None,
        bid_size=optional_decimal(row, "bidQty"),
        ask_size=optional_decimal(row, "askQty"),
        open_24h=optional_decimal(row, "openPrice"),
        high_24h=optional_decimal(row, "highPrice"),
        low_24h=optional_decimal(row, "lowPrice"),
        volume_24h=optional_decimal(row, "volume"),
        quote_volume_24h=optional_decimal(row, "quoteVolume"),
        market_cap=None,
        trades_24h=count_field(row, "count") if "count" in row else None,
        mark=str(whole_field(row, "lastId")) if "lastId" in row else None,
        is_unchanged=False,
        endpoint=origin.endpoint,
        record=text,
    )
