"""What the candles of all venues have in common: closed, whole, not torn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import Rejected
from crypto_pipeline.source.body import BrokenBody, Element
from crypto_pipeline.source.row import (
    RowError,
    count_field,
    decimal_field,
    optional_decimal,
    time_field,
)
from crypto_pipeline.source.venue import Origin

MINUTE = timedelta(minutes=1)


def candles_of(
    parts: Iterable[Element | BrokenBody],
    read: Callable[[Any, str], Candle],
    *,
    origin: Origin,
    symbol: str,
    finished_by: datetime,
) -> tuple[list[Candle], list[Rejected]]:
    """Closed candles in the body's order; a row that breaks a rule is rejected with its text."""
    candles, rejected = [], []
    for part in parts:
        if isinstance(part, BrokenBody):
            rejected.append(origin.reject(part.reason, part.detail, part.rest))
            continue
        try:
            candle = read(part.value, part.text)
        except RowError as error:
            rejected.append(origin.reject(error.reason, f"{symbol}: {error}", part.text))
        else:
            if candle.open_at + MINUTE <= finished_by:
                candles.append(candle)
    return candles, rejected


def make_candle(
    fields: Mapping[Any, Any],
    text: str,
    *,
    origin: Origin,
    symbol: str,
    is_backfill: bool,
    open_time: str,
    close_time: str | None = None,
    quote_volume: str | None = None,
) -> Candle:
    """A candle from fields named open, high, low, close, volume and perhaps trades.

    `open_time` and `close_time` name fields of epoch milliseconds. RowError for not_a_minute
    and for torn: a high or low that contradicts the other prices.
    """
    open_at = time_field(fields, open_time)
    if open_at.second or open_at.microsecond:
        raise RowError("not_a_minute", f"open time {open_at.isoformat()} is inside a minute")
    first, high = decimal_field(fields, "open"), decimal_field(fields, "high")
    low, last = decimal_field(fields, "low"), decimal_field(fields, "close")
    if high < max(first, last, low) or low > min(first, last):
        raise RowError("torn", f"open {first}, high {high}, low {low}, close {last}")
    return Candle(
        market=origin.market,
        source=origin.source,
        venue=origin.venue,
        symbol=symbol,
        open_at=open_at,
        observed_at=origin.observed_at,
        event_at=None if close_time is None else time_field(fields, close_time),
        open=first,
        high=high,
        low=low,
        close=last,
        volume=decimal_field(fields, "volume", may_be_zero=True),
        quote_volume=None if quote_volume is None else optional_decimal(fields, quote_volume),
        trades=count_field(fields, "trades") if "trades" in fields else None,
        is_backfill=is_backfill,
        endpoint=origin.endpoint,
        record=text,
    )
