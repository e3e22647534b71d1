"""Kraken bodies to contract values; pure, and never raises for what a body holds.

`Ticker` gives an object of arrays under Kraken's own names, without any time:

    {"error": [], "result": {"XXBTZUSD": {
      "a": ["67012.1", "1", "1.000"], "b": ["67012.0", "2", "2.000"],
      "c": ["67012.1", "0.0040"], "v": ["812.1", "1934.2"], "p": ["66990.1", "66871.8"],
      "t": [9012, 21877], "l": ["66100.5", "66100.5"], "h": ["67400.0", "67400.0"],
      "o": "66500.0"}}}

Index 1 of v, p, t, l and h is the last 24 hours; `o` is today's open and not used. `OHLC`
gives rows of time (seconds), open, high, low, close, vwap, volume, trades; the last row is the
running minute:

    {"error": [], "result": {"XXBTZUSD": [
      [1732312740, "67010.0", "67020.0", "67001.5", "67012.0", "67011.2", "3.2", 81]],
      "last": 1732312740}}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeGuard

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import Rejected
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.source.body import BrokenBody, Element, elements, entries, in_ascii, whole
from crypto_pipeline.source.candle_rows import candles_of, make_candle
from crypto_pipeline.source.row import (
    RowError,
    count_field,
    decimal_field,
    not_crossed,
    optional_decimal,
    whole_field,
)
from crypto_pipeline.source.venue import Origin

OHLC_FIELDS = ("time", "open", "high", "low", "close", "vwap", "volume", "trades")
RENAMED = {"BTC": "XBT", "DOGE": "XDG"}
OURS = {theirs: ours for ours, theirs in RENAMED.items()}
DAY = 1


def native_name(symbol: str) -> str:
    """
    >>> native_name("BTC-USD"), native_name("DOGE-USDT"), native_name("ETH-BTC")
    ('XBTUSD', 'XDGUSDT', 'ETHXBT')
    """
    return "".join(RENAMED.get(part, part) for part in symbol.split("-"))


def result_names(symbols: Iterable[str]) -> dict[str, str]:
    """All names under which a pair may come back, to ours: old assets carry an X or a Z.

    >>> sorted(result_names(["BTC-USD"]))
    ['XBTUSD', 'XBTXUSD', 'XBTZUSD', 'XXBTUSD', 'XXBTXUSD', 'XXBTZUSD']
    """
    names: dict[str, str] = {}
    for symbol in symbols:
        base, quote = (RENAMED.get(part, part) for part in symbol.split("-"))
        for b in (base, f"X{base}"):
            for q in (quote, f"Z{quote}", f"X{quote}"):
                names.setdefault(b + q, symbol)
    for symbol in symbols:
        names[native_name(symbol)] = symbol
    return names


def our_name(wsname: str) -> str | None:
    """
    >>> our_name("XBT/USD"), our_name("odd")
    ('BTC-USD', None)
    """
    base, slash, quote = wsname.partition("/")
    return f"{OURS.get(base, base)}-{OURS.get(quote, quote)}" if slash else None


def parse_snapshot(
    body: str, *, origin: Origin, names: Mapping[str, str]
) -> tuple[list[Tick], list[Rejected]]:
    """Pairs to ticks; `names` as `result_names` gives them. Reason codes as Binance's."""
    ticks: dict[str, Tick] = {}
    rejected = []
    for part in entries(body, "result"):
        if isinstance(part, BrokenBody):
            rejected.append(origin.reject(part.reason, part.detail, part.rest))
            continue
        name, element = part
        try:
            tick = _tick(name, element, origin=origin, names=names)
            if tick.symbol in ticks:
                raise RowError("repeated_symbol", f"{tick.symbol} came before in this body")
        except RowError as error:
            text = f"{json.dumps(name)}:{element.text}"
            rejected.append(origin.reject(error.reason, str(error), text))
        else:
            ticks[tick.symbol] = tick
    return list(ticks.values()), rejected + _errors(body, origin)


def parse_candles(
    body: str, *, origin: Origin, symbol: str, finished_by: datetime, is_backfill: bool
) -> tuple[list[Candle], list[Rejected]]:
    """Rows to closed candles; `last` and the running minute are left out."""
    rows: list[Element | BrokenBody] = []
    for part in entries(body, "result"):
        if isinstance(part, BrokenBody):
            rows.append(part)
        elif part[0] != "last":
            rows += elements(part[1].text)

    def read(row: Any, text: str) -> Candle:
        if not isinstance(row, list):
            raise RowError("not_a_row", "the row is not an array")
        fields = dict(zip(OHLC_FIELDS, row, strict=False))
        opened = {"time": f"{whole_field(fields, 'time')}000"}
        return make_candle(
            {**fields, **opened},
            text,
            origin=origin,
            symbol=symbol,
            is_backfill=is_backfill,
            open_time="time",
        )

    candles, rejected = candles_of(
        rows, read, origin=origin, symbol=symbol, finished_by=finished_by
    )
    return candles, rejected + _errors(body, origin)


def _errors(body: str, origin: Origin) -> list[Rejected]:
    """The errors of a body that has rows as well; codes that begin with W are warnings."""
    part = whole(body)
    codes = part.value.get("error") if _is_object(part) else None
    given = codes if isinstance(codes, list) else []
    errors = [code for code in given if isinstance(code, str) and not code.startswith("W")]
    text = json.dumps(errors)
    return [origin.reject("venue_error", in_ascii(", ".join(errors)), text)] if errors else []


def _is_object(part: Element | BrokenBody) -> TypeGuard[Element]:
    return isinstance(part, Element) and isinstance(part.value, dict)


def _tick(name: str, element: Element, *, origin: Origin, names: Mapping[str, str]) -> Tick:
    row = element.value
    if not isinstance(row, dict):
        raise RowError("not_an_object", f"{ascii(name)[:60]} is not an object")
    if name not in names:
        raise RowError("unknown_symbol", f"symbol {ascii(name)[:60]} was not asked for")
    last, bid, ask = _array(row, "c"), _array(row, "b"), _array(row, "a")
    bid_price, ask_price = optional_decimal(bid, 0), optional_decimal(ask, 0)
    not_crossed(bid_price, ask_price)
    trades = _array(row, "t")
    return Tick(
        market=origin.market,
        source=origin.source,
        venue=origin.venue,
        symbol=names[name],
        poll_at=origin.poll_at,
        observed_at=origin.observed_at,
        # Kraken's ticker carries no time at all: observed_at is the only one there is.
        event_at=None,
        price=decimal_field(last, 0),
        bid=bid_price or None,
        ask=ask_price or None,
        bid_size=optional_decimal(bid, 2),
        ask_size=optional_decimal(ask, 2),
        open_24h=None,
        high_24h=optional_decimal(_array(row, "h"), DAY),
        low_24h=optional_decimal(_array(row, "l"), DAY),
        volume_24h=optional_decimal(_array(row, "v"), DAY),
        quote_volume_24h=None,
        market_cap=None,
        trades_24h=count_field(trades, DAY) if trades else None,
        mark=_mark(last, trades),
        is_unchanged=False,
        endpoint=origin.endpoint,
        record=f"{json.dumps(name)}:{element.text}",
    )


def _array(row: Mapping[Any, Any], name: str) -> dict[int, Any]:
    """An array by position; an absent one is empty, so that its optional fields are absent."""
    value = row.get(name, [])
    if not isinstance(value, list):
        raise RowError("not_a_number", f"{name} is {ascii(value)[:60]}, not an array")
    return dict(enumerate(value))


def _mark(last: Mapping[int, Any], trades: Mapping[int, Any]) -> str | None:
    """Today's number of trades and the last one: there is no trade id to go by."""
    return in_ascii(f"{trades[0]}:{last.get(0)}:{last.get(1)}") if trades else None
