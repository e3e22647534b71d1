"""The seam between an HTTP dialect and whatever makes the prices.

Times are epoch milliseconds UTC, prices and volumes `Decimal`. A backend answers for any
instant `now_ms` it is given; it has no clock of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """An instrument of the venue; `tick` and `step` are the smallest price and size moves."""

    symbol: str
    tick: Decimal
    step: Decimal

    @property
    def base(self) -> str:
        return self.symbol.partition("-")[0]

    @property
    def quote(self) -> str:
        return self.symbol.partition("-")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One minute, closed or running. Taker figures are what buyers took from the book."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    taker_volume: Decimal
    taker_quote_volume: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The last 24 hours up to one instant. Without a trade in them both ids are -1."""

    open: Decimal
    high: Decimal
    low: Decimal
    last: Decimal
    last_size: Decimal
    previous_close: Decimal
    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal
    volume: Decimal
    quote_volume: Decimal
    first_id: int
    last_id: int
    trades: int


class Market(Protocol):
    """Where prices come from: the seeded model or a folder of candles."""

    def listings(self) -> Sequence[Listing]: ...

    def bars(self, symbol: str, first_ms: int, last_ms: int, now_ms: int) -> list[Bar]:
        """Bars that open from `first_ms` to `last_ms`, both included, up to the running one."""
        ...

    def window(self, symbol: str, now_ms: int) -> Window | None:
        """None where the instrument has not begun to trade by then."""
        ...

    def oldest_ms(self, symbol: str) -> int:
        """When the first bar opens."""
        ...
