"""A market whose every minute is a function of its number: for a real feed, and for a history.

Both get the same facts, so what is laid down and what is committed on top of it fit together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import PollRecord
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline_tests.builders import MINUTE, candle, poll, tick

Numbers = NDArray[np.int64]
# Prices and sizes are whole hundredths.
HUNDREDTHS = 2
OBSERVED = timedelta(seconds=1)
STARTED = timedelta(milliseconds=400)
ENDED = timedelta(milliseconds=1_600)
DAY = 1_440
TICK_NUMBERS = ("price", "bid", "ask", "bid_size", "ask_size", "open_24h", "high_24h", "low_24h",
                "volume_24h", "quote_volume_24h")  # fmt: skip
CANDLE_NUMBERS = ("open", "high", "low", "close", "volume", "quote_volume")


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """`count` coins; minute `n` is polled `n` minutes after `begin`."""

    count: int
    begin: datetime

    @property
    def symbols(self) -> list[str]:
        return [f"C{number}-USDT" for number in range(self.count)]

    def poll_at(self, number: int) -> datetime:
        return self.begin + number * MINUTE

    def closes(self, first: int, until: int) -> Numbers:
        """Closes of the minutes that end with polls [first, until): a row a minute, a coin each."""
        n = np.arange(first, until)[:, None]
        coin = np.arange(self.count)[None, :]
        slow = 0.05 * np.sin(2 * np.pi * n / DAY + coin) + 0.02 * np.sin(n / 37 + 3 * coin)
        price = 10_000 * (1 + coin % 97) * np.exp(slow + 0.0004 * _noise(n, coin, 1))
        return np.rint(price).astype(np.int64)

    def candles(self, first: int, until: int) -> dict[str, Numbers]:
        """CANDLE_NUMBERS and trades of the minutes that end with polls [first, until)."""
        closes = self.closes(first - 1, until)
        opened, closed = closes[:-1], closes[1:]
        n, coin = np.arange(first, until)[:, None], np.arange(self.count)[None, :]
        reach = 1 + closed // 5_000
        volume = 500 + (200 * (1 + _noise(n, coin, 2))).astype(np.int64)
        return {
            "open": opened,
            "high": np.maximum(opened, closed) + reach,
            "low": np.minimum(opened, closed) - reach,
            "close": closed,
            "volume": volume,
            "quote_volume": volume * closed // 100,
            "trades": volume // 7,
        }

    def ticks(self, first: int, until: int) -> dict[str, Numbers]:
        """TICK_NUMBERS and trades_24h of polls [first, until)."""
        price = self.closes(first, until)
        traded = self.candles(first, until)["volume"] * DAY
        base = np.broadcast_to(10_000 * (1 + np.arange(self.count) % 97), price.shape)
        return {
            "price": price,
            "bid": price - 1,
            "ask": price + 1,
            "bid_size": np.full_like(price, 120),
            "ask_size": np.full_like(price, 40),
            "open_24h": base,
            "high_24h": base * 108 // 100,
            "low_24h": base * 92 // 100,
            "volume_24h": traded,
            "quote_volume_24h": traded * 100,
            "trades_24h": traded // 700,
        }

    def minutes(self, first: int, until: int) -> Iterator[Facts]:
        """The facts of polls [first, until), minute by minute."""
        ticks, candles = self.ticks(first, until), self.candles(first, until)
        for row, number in enumerate(range(first, until)):
            yield Facts(
                ticks=self._ticks(number, {name: values[row] for name, values in ticks.items()}),
                candles=self._candles(number, {n: values[row] for n, values in candles.items()}),
                poll=self.poll(number),
            )

    def facts(self, number: int) -> list[Tick | Candle | PollRecord]:
        """What one poll sends, in the order in which it does."""
        minute = next(self.minutes(number, number + 1))
        return [*minute.ticks, *minute.candles, minute.poll]

    def poll(self, number: int) -> PollRecord:
        at, asked = self.poll_at(number), tuple(self.symbols)
        return poll(
            poll_at=at, started_at=at + STARTED, ended_at=at + ENDED, symbols_asked=asked,
            candles_due=asked, candles=self.count, served=self.count, published=self.count,
        )  # fmt: skip

    def _ticks(self, number: int, values: dict[str, Numbers]) -> list[Tick]:
        at = self.poll_at(number)
        numbers = {name: _decimals(values[name]) for name in TICK_NUMBERS}
        counts = values["trades_24h"].tolist()
        return [
            tick(
                symbol=symbol,
                poll_at=at,
                observed_at=at + OBSERVED,
                trades_24h=counts[coin],
                mark=str(number * DAY + coin),
                record=_snapshot(symbol, number, {k: v[coin] for k, v in numbers.items()}),
                **{name: column[coin] for name, column in numbers.items()},
            )
            for coin, symbol in enumerate(self.symbols)
        ]

    def _candles(self, number: int, values: dict[str, Numbers]) -> list[Candle]:
        opened = self.poll_at(number) - MINUTE
        numbers = {name: _decimals(values[name]) for name in CANDLE_NUMBERS}
        counts = values["trades"].tolist()
        return [
            candle(
                symbol=symbol,
                open_at=opened,
                observed_at=opened + MINUTE + OBSERVED,
                trades=counts[coin],
                record=_kline(number, {k: v[coin] for k, v in numbers.items()}),
                **{name: column[coin] for name, column in numbers.items()},
            )
            for coin, symbol in enumerate(self.symbols)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What one poll brings; a coin has the same place in both lists."""

    ticks: list[Tick]
    candles: list[Candle]
    poll: PollRecord


def _decimals(hundredths: Numbers) -> list[Decimal]:
    return [Decimal(value).scaleb(-HUNDREDTHS) for value in hundredths.tolist()]


def _noise(n: Numbers, coin: Numbers, salt: int) -> NDArray[np.float64]:
    """In [-1, 1), the same for the same minute and coin wherever it is asked."""
    mixed = (n.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ (
        (coin.astype(np.uint64) + np.uint64(salt * 1_000_003)) * np.uint64(0xBF58476D1CE4E5B9)
    )
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(32)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2**52 - 1


def _snapshot(symbol: str, number: int, of: dict[str, Decimal]) -> str:
    """As long as a venue's own text of one instrument."""
    return (
        f'{{"symbol":"{symbol.replace("-", "")}","priceChange":"{of["price"] - of["open_24h"]}",'
        f'"priceChangePercent":"1.204","weightedAvgPrice":"{of["open_24h"]}","prevClosePrice":'
        f'"{of["open_24h"]}","lastPrice":"{of["price"]}","lastQty":"0.00100000","bidPrice":'
        f'"{of["bid"]}","bidQty":"{of["bid_size"]}","askPrice":"{of["ask"]}","askQty":'
        f'"{of["ask_size"]}","openPrice":"{of["open_24h"]}","highPrice":"{of["high_24h"]}",'
        f'"lowPrice":"{of["low_24h"]}","volume":"{of["volume_24h"]}","quoteVolume":'
        f'"{of["quote_volume_24h"]}","firstId":{number * DAY},"lastId":{number * DAY + 999}}}'
    )


def _kline(number: int, of: dict[str, Decimal]) -> str:
    return (
        f'[{number * 60_000},"{of["open"]}","{of["high"]}","{of["low"]}","{of["close"]}",'
        f'"{of["volume"]}",{number * 60_000 + 59_999},"{of["quote_volume"]}",71,"2.1","400.5","0"]'
    )
