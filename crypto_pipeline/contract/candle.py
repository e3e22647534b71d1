"""A candle: one closed minute of an exchange."""

from __future__ import annotations

from datetime import datetime
from decimal import Context, Decimal
from typing import Any

import msgspec

from crypto_pipeline.contract.message import (
    SCHEMA_VERSION,
    MarketKind,
    encode,
    fact_id,
    format_optional_time,
    format_time,
    message_key,
    shared_time,
)
from crypto_pipeline.contract.tick import plain

# All digits of a DECIMAL(38,18); the default of 28 gives two revisions one id.
EXACT = Context(prec=38)


# Made by the thousand: a Struct is built in a third of a dataclass's time.
class Candle(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One closed minute that begins at `open_at`; other values are another revision.

    The id holds the values, so a venue's correction is a new fact and the newest wins
    in gold. `is_backfill` marks history: it is never too late. Volumes as in `Tick`.
    """

    market: MarketKind
    source: str
    venue: str
    symbol: str
    open_at: datetime
    observed_at: datetime
    event_at: datetime | None
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal | None
    trades: int | None
    is_backfill: bool
    endpoint: str
    record: str

    @property
    def id(self) -> str:
        numbers = (self.open, self.high, self.low, self.close, self.volume)
        values = [str(plain(number.normalize(EXACT))) for number in numbers]
        return fact_id("candle", self.source, self.symbol, format_time(self.open_at), *values)

    @property
    def key(self) -> bytes:
        return message_key(self.source, self.symbol)

    def encode(self) -> bytes:
        return encode(self.payload())

    def payload(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "candle",
            "id": self.id,
            "market": self.market,
            "source": self.source,
            "venue": self.venue,
            "symbol": self.symbol,
            "open_at": format_time(self.open_at),
            "observed_at": shared_time(self.observed_at),
            "event_at": format_optional_time(self.event_at),
            "open": plain(self.open),
            "high": plain(self.high),
            "low": plain(self.low),
            "close": plain(self.close),
            "volume": plain(self.volume),
            "quote_volume": plain(self.quote_volume),
            "trades": self.trades,
            "is_backfill": self.is_backfill,
            "endpoint": self.endpoint,
            "record": self.record,
        }
