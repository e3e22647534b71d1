"""A venue of thousands of pairs: some are modelled, the rest are multiples of those.

A day of a modelled coin costs a megabyte; a multiple costs nothing and still has candles that
agree with its ticker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from crypto_pipeline.simulator.market import Bar, Listing, Market, Window

PAIRS = 3600
PRICES_OF_BAR = ("open", "high", "low", "close", "quote_volume", "taker_quote_volume")
PRICES_OF_WINDOW = ("open", "high", "low", "last", "previous_close", "bid", "ask", "quote_volume")


class CrowdMarket:
    """A `Market` of `count` pairs over a smaller one; pair BTC007-USDT is 7 times BTC-USDT."""

    def __init__(self, model: Market, *, count: int = PAIRS) -> None:
        self._model = model
        self._pairs = {one.symbol: (one.symbol, 1) for one in model.listings()}
        listings = list(model.listings())
        for number in range(count - len(listings)):
            of, times = listings[number % len(listings)], number // len(listings) + 2
            self._pairs[f"{of.base}{times:03d}-{of.quote}"] = (of.symbol, times)
        self._windows: dict[str, Window | None] = {}
        self._windows_ms = -1

    def listings(self) -> Sequence[Listing]:
        grids = {one.symbol: one for one in self._model.listings()}
        return [
            Listing(symbol=symbol, tick=grids[of].tick * times, step=grids[of].step)
            for symbol, (of, times) in self._pairs.items()
        ]

    def oldest_ms(self, symbol: str) -> int:
        return self._model.oldest_ms(self._pairs[symbol][0])

    def bars(self, symbol: str, first_ms: int, last_ms: int, now_ms: int) -> list[Bar]:
        of, times = self._pairs[symbol]
        bars = self._model.bars(of, first_ms, last_ms, now_ms)
        return [replace(bar, **_multiplied(bar, PRICES_OF_BAR, times)) for bar in bars]

    def window(self, symbol: str, now_ms: int) -> Window | None:
        of, times = self._pairs[symbol]
        if now_ms != self._windows_ms:
            self._windows, self._windows_ms = {}, now_ms
        if of not in self._windows:
            self._windows[of] = self._model.window(of, now_ms)
        window = self._windows[of]
        if window is None:
            return None
        return replace(window, **_multiplied(window, PRICES_OF_WINDOW, times))


def _multiplied(of: Bar | Window, names: Sequence[str], times: int) -> dict[str, Any]:
    return {name: getattr(of, name) * times for name in names}
