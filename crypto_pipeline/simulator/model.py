"""The seeded market: correlated coins with stochastic volatility, jumps and a daily pattern.

log price = log level + share of the common factor x factor path + the coin's own path. Any
minute of any day is a function of (seed, symbol, time) alone: blocks of one coin and UTC day
are made on demand and kept in a bounded cache, so a restart or another order of questions
changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

import numpy as np

from crypto_pipeline.simulator.block import Block, Integers, Minutes, make_block, minutes_of
from crypto_pipeline.simulator.coins import Coin, coin_for
from crypto_pipeline.simulator.market import DAY_MS, MINUTE_MS, Bar, Listing, Window
from crypto_pipeline.simulator.path import (
    STEP_SECONDS,
    STEPS_A_DAY,
    STEPS_A_MINUTE,
    Chain,
    Floats,
    chain_for,
    day_path,
)

# 2017-07-14, the day the model's venue opened; there is nothing before it.
OPENING_DAY = 17_361
CHAIN_CHUNK_DAYS = 1024
FACTOR = "*"
FACTOR_VOLATILITY = 0.015
STEP_MS = STEP_SECONDS * 1000
DAYS_KEPT_A_COIN = 3


class ModelMarket:
    """A `Market` whose every answer follows from its seed; about 1 MB of cache a coin and day."""

    def __init__(self, seed: int, symbols: Sequence[str]) -> None:
        self._seed = seed
        self._coins = {symbol: coin_for(symbol) for symbol in symbols}
        days = DAYS_KEPT_A_COIN * len(self._coins)
        self._block = lru_cache(maxsize=days)(self._make_block)
        self._minutes = lru_cache(maxsize=days)(self._make_minutes)
        self._factor = lru_cache(maxsize=2 * DAYS_KEPT_A_COIN)(self._make_factor)
        self._chain = lru_cache(maxsize=2 * len(self._coins) + 2)(self._make_chain)
        self._counts = lru_cache(maxsize=2 * len(self._coins))(self._make_counts)

    def listings(self) -> Sequence[Listing]:
        return [coin.listing() for coin in self._coins.values()]

    def oldest_ms(self, symbol: str) -> int:
        return OPENING_DAY * DAY_MS

    def bars(self, symbol: str, first_ms: int, last_ms: int, now_ms: int) -> list[Bar]:
        first = max(first_ms, self.oldest_ms(symbol))
        last = min(last_ms, now_ms - now_ms % MINUTE_MS)
        found: list[Bar] = []
        for day in range(first // DAY_MS, last // DAY_MS + 1):
            start = max(first, day * DAY_MS)
            end = min(last, (day + 1) * DAY_MS - MINUTE_MS)
            found += self._bars_of_day(symbol, day, start, end, now_ms)
        return found

    def window(self, symbol: str, now_ms: int) -> Window | None:
        day, step = now_ms // DAY_MS, now_ms % DAY_MS // STEP_MS
        if day <= OPENING_DAY:
            return None
        coin = self._coins[symbol]
        before, today = self._block(symbol, day - 1), self._block(symbol, day)
        parts = [(before, slice(step + 1, STEPS_A_DAY)), (today, slice(0, step + 1))]
        prices = np.concatenate([block.price[part] for block, part in parts])
        trades = np.concatenate([block.trades[part] for block, part in parts])
        traded = prices[trades > 0]
        newest = int(today.last_traded[step])
        last = int(today.price[step])
        last_id = _last_id(today, step)
        count = int(trades.sum())
        bid, ask = _quotes(last, newest)
        return Window(
            open=_price(coin, int(traded[0])),
            high=_price(coin, int(traded.max())),
            low=_price(coin, int(traded.min())),
            last=_price(coin, last),
            last_size=_size(coin, max(1, int(today.size[newest] // today.trades[newest]))),
            previous_close=_price(coin, int(before.price[step])),
            bid=_price(coin, bid),
            bid_size=_size(coin, 1 + int(today.size[newest]) * (3 + newest % 7) // 4),
            ask=_price(coin, ask),
            ask_size=_size(coin, 1 + int(today.size[newest]) * (3 + newest % 5) // 4),
            volume=_size(coin, sum(int(block.size[part].sum()) for block, part in parts)),
            quote_volume=_value(coin, sum(int(block.value[part].sum()) for block, part in parts)),
            first_id=last_id - count + 1,
            last_id=last_id,
            trades=count,
        )

    def _bars_of_day(self, symbol: str, day: int, start: int, end: int, now_ms: int) -> list[Bar]:
        if start > end:
            return []
        first, last = (start % DAY_MS) // MINUTE_MS, (end % DAY_MS) // MINUTE_MS
        is_running = end + MINUTE_MS > now_ms
        minutes = self._minutes(symbol, day)
        closed = range(first, last if is_running else last + 1)
        bars = [self._bar(symbol, day, minute, minutes, minute) for minute in closed]
        if is_running:
            reached = now_ms % DAY_MS // STEP_MS + 1
            partial = minutes_of(self._block(symbol, day), last * STEPS_A_MINUTE, reached)
            bars.append(self._bar(symbol, day, last, partial, 0))
        return bars

    def _bar(self, symbol: str, day: int, minute: int, minutes: Minutes, row: int) -> Bar:
        coin = self._coins[symbol]
        share = float(self._block(symbol, day).taker_share[minute])
        size, value = int(minutes.size[row]), int(minutes.value[row])
        return Bar(
            open_ms=day * DAY_MS + minute * MINUTE_MS,
            open=_price(coin, int(minutes.open[row])),
            high=_price(coin, int(minutes.high[row])),
            low=_price(coin, int(minutes.low[row])),
            close=_price(coin, int(minutes.close[row])),
            volume=_size(coin, size),
            quote_volume=_value(coin, value),
            trades=int(minutes.trades[row]),
            taker_volume=_size(coin, int(size * share)),
            taker_quote_volume=_value(coin, int(value * share)),
        )

    def _make_block(self, symbol: str, day: int) -> Block:
        coin, index = self._coins[symbol], day - OPENING_DAY
        factor, factor_relative = self._factor(day)
        chain = self._chain(symbol, coin.own_volatility, _chunks(index))
        own, relative = day_path(
            self._seed, symbol, day, chain, daily_volatility=coin.own_volatility, row=index
        )
        counts = self._counts(symbol, _chunks(index))
        return make_block(
            self._seed,
            coin,
            day,
            math.log(coin.level) + coin.factor_share * factor + own,
            np.sqrt(relative * factor_relative),
            trades=int(counts[index]),
            before=int(counts[:index].sum()),
        )

    def _make_minutes(self, symbol: str, day: int) -> Minutes:
        return minutes_of(self._block(symbol, day))

    def _make_factor(self, day: int) -> tuple[Floats, Floats]:
        index = day - OPENING_DAY
        chain = self._chain(FACTOR, FACTOR_VOLATILITY, _chunks(index))
        return day_path(
            self._seed, FACTOR, day, chain, daily_volatility=FACTOR_VOLATILITY, row=index
        )

    def _make_chain(self, name: str, volatility: float, chunks: int) -> Chain:
        days = chunks * CHAIN_CHUNK_DAYS
        return chain_for(self._seed, name, days=days, daily_volatility=volatility)

    def _make_counts(self, symbol: str, chunks: int) -> Integers:
        coin = self._coins[symbol]
        chain = self._chain(symbol, coin.own_volatility, chunks)
        counts = coin.trades_a_day * np.exp(0.8 * chain.volatility + 0.2 * chain.spare)
        return np.asarray(np.maximum(1, np.rint(counts)), dtype=np.int64)


def _chunks(index: int) -> int:
    """Whole chunks that hold the day and the next anchor, so that chains seldom are remade."""
    return (index + 2) // CHAIN_CHUNK_DAYS + 1


def _last_id(block: Block, step: int) -> int:
    return block.trades_before + int(block.trades[: step + 1].sum()) - 1


def _quotes(last: int, step: int) -> tuple[int, int]:
    """Bid and ask in ticks around the last price: it hit one of them, the other is 1 to 3 away."""
    width = 1 + (step * 7 // 5) % 3
    if step % 2 or last <= width:
        return last, last + width
    return last - width, last


def _price(coin: Coin, ticks: int) -> Decimal:
    return Decimal(ticks).scaleb(-coin.tick_digits)


def _size(coin: Coin, steps: int) -> Decimal:
    return Decimal(steps).scaleb(-coin.step_digits)


def _value(coin: Coin, units: int) -> Decimal:
    return Decimal(units).scaleb(-coin.tick_digits - coin.step_digits)
