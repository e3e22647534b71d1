"""The usual ticker row, read by its type: a whole venue's poll has 3,600 of them each minute.

What differs from the usual in anything goes the careful way of `binance_rows`, which alone
says what is wrong with it. A test holds that both ways read the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.source.row import EARLIEST_MS, LATEST_MS, PLAIN, from_epoch_ms
from crypto_pipeline.source.venue import Origin

# As many digits as the careful way takes.
WHOLE_LIMIT = 10**18
NUMBERS = 10
# One look at all of a row's numbers, each followed by a space, takes half of ten looks.
ARE_PLAIN = re.compile(f"({PLAIN.pattern} ){{{NUMBERS}}}").fullmatch


class TickerRow(msgspec.Struct, gc=False):
    """The fields that are read, as Binance writes them: decimals as text."""

    symbol: str
    lastPrice: str
    bidPrice: str
    askPrice: str
    bidQty: str
    askQty: str
    openPrice: str
    highPrice: str
    lowPrice: str
    volume: str
    quoteVolume: str
    closeTime: int
    lastId: int
    count: int


ROWS = msgspec.json.Decoder(list[msgspec.Raw])
ROW = msgspec.json.Decoder(TickerRow)


def rows_of(body: str) -> list[bytes] | None:
    """Each row's bytes; None when the body is not one array from its first sign to its last."""
    try:
        return [bytes(raw) for raw in ROWS.decode(body.encode())]
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None


def usual_tick(record: bytes, *, origin: Origin, names: Mapping[str, str]) -> Tick | None:
    """The tick of one row; None for every row that is not wholly usual."""
    try:
        row = ROW.decode(record)
    except (msgspec.DecodeError, RecursionError):
        return None
    texts = (
        row.lastPrice, row.bidPrice, row.askPrice, row.bidQty, row.askQty,
        row.openPrice, row.highPrice, row.lowPrice, row.volume, row.quoteVolume,
    )  # fmt: skip
    symbol = names.get(row.symbol)
    if symbol is None or not ARE_PLAIN(" ".join((*texts, ""))):
        return None
    price, bid, ask, bid_size, ask_size, opened, high, low, volume, quote = map(Decimal, texts)
    if (
        not price
        or (bid > ask and ask)
        or not EARLIEST_MS <= row.closeTime <= LATEST_MS
        or not -WHOLE_LIMIT < row.lastId < WHOLE_LIMIT
        or not 0 <= row.count < WHOLE_LIMIT
    ):
        return None
    return Tick(
        market=origin.market,
        source=origin.source,
        venue=origin.venue,
        symbol=symbol,
        poll_at=origin.poll_at,
        observed_at=origin.observed_at,
        event_at=from_epoch_ms(row.closeTime),
        price=price,
        bid=bid or None,
        ask=ask or None,
        bid_size=bid_size,
        ask_size=ask_size,
        open_24h=opened,
        high_24h=high,
        low_24h=low,
        volume_24h=volume,
        quote_volume_24h=quote,
        market_cap=None,
        trades_24h=row.count,
        mark=str(row.lastId),
        is_unchanged=False,
        endpoint=origin.endpoint,
        record=record.decode(),
    )
