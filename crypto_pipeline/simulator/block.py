"""One coin's UTC day: trades in steps of three seconds, and its minutes, as whole numbers.

Whole ticks and whole size steps keep sums exact; they become `Decimal` only on the way out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crypto_pipeline.simulator.coins import Coin, random_generator
from crypto_pipeline.simulator.path import STEPS_A_DAY, STEPS_A_MINUTE, Floats, daily_pattern

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Per step: price in ticks (carried where nobody traded), size, value, trades.

    `last_traded` is, per step, the newest step with a trade; the day's first always has one.
    `trades_before` counts all trades of earlier days, so ids have no holes.
    """

    price: Integers
    size: Integers
    value: Integers
    trades: Integers
    last_traded: Integers
    taker_share: Floats
    trades_before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Minutes:
    """The same day by minute: open, high, low, close in ticks, and sums."""

    open: Integers
    high: Integers
    low: Integers
    close: Integers
    size: Integers
    value: Integers
    trades: Integers


def make_block(
    seed: int,
    coin: Coin,
    day: int,
    log_price: Floats,
    relative: Floats,
    *,
    trades: int,
    before: int,
) -> Block:
    """Spread `trades` over the day by activity and put the path on the coin's price grid."""
    draw = random_generator("trades", seed, coin.symbol, day)
    activity = relative * daily_pattern() * np.exp(0.7 * draw.standard_normal(STEPS_A_DAY))
    counts = draw.multinomial(trades - 1, activity / activity.sum()).astype(np.int64)
    counts[0] += 1
    path = np.maximum(1, np.rint(np.exp(log_price) * 10.0**coin.tick_digits)).astype(np.int64)
    steps = np.arange(STEPS_A_DAY, dtype=np.int64)
    last_traded = np.maximum.accumulate(np.where(counts > 0, steps, 0))
    price = path[last_traded]
    spread = np.exp(0.8 * draw.standard_normal(STEPS_A_DAY))
    size = np.where(counts > 0, np.maximum(1, np.rint(counts * coin.steps_a_trade * spread)), 0)
    size = size.astype(np.int64)
    return Block(
        price=price,
        size=size,
        value=price * size,
        trades=counts,
        last_traded=last_traded,
        taker_share=draw.uniform(0.35, 0.65, 1440),
        trades_before=before,
    )


def minutes_of(block: Block, first_step: int = 0, end_step: int = STEPS_A_DAY) -> Minutes:
    """Aggregate steps to minutes; `first_step` opens a minute, the last minute may be partial.

    A minute without a trade is flat at the last price with no volume, as the venue shows it.
    """
    short = -(end_step - first_step) % STEPS_A_MINUTE

    def rows(values: Integers, fill: int) -> Integers:
        padded = np.pad(values[first_step:end_step], (0, short), constant_values=fill)
        return padded.reshape(-1, STEPS_A_MINUTE)

    trades = rows(block.trades, 0)
    traded = trades > 0
    price = rows(block.price, 0)
    last = np.minimum(np.arange(1, len(price) + 1) * STEPS_A_MINUTE + first_step, end_step) - 1
    close = block.price[last]
    is_flat = ~traded.any(axis=1)
    first = price[np.arange(len(price)), traded.argmax(axis=1)]
    top = np.where(traded, price, 0).max(axis=1)
    bottom = np.where(traded, price, np.iinfo(np.int64).max).min(axis=1)
    return Minutes(
        open=np.where(is_flat, close, first),
        high=np.where(is_flat, close, top),
        low=np.where(is_flat, close, bottom),
        close=close,
        size=rows(block.size, 0).sum(axis=1),
        value=rows(block.value, 0).sum(axis=1),
        trades=trades.sum(axis=1),
    )
