"""One-minute candles of one instrument → what every model sees, and what it is judged on.

The measures are those of gold/volatility, each as variance a minute, so what is fitted here can
be served from that table. Everything of a row ends with its minute; labels start after it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crypto_pipeline.gold.volatility import DAY_COVERAGE, DECAY, MINUTES_A_DAY
from crypto_pipeline.predictions.losses import Floats, price_step
from crypto_pipeline.predictions.schema import HORIZONS

MEASURES = (
    "variance_5m",
    "variance_15m",
    "variance_60m",
    "variance_24h",
    "ewma_094",
    "parkinson_1h",
    "garman_klass_1h",
)
# The plain recipe that is hard to beat at five minutes; it is a baseline and feeds no model.
EWMA_45M = "ewma_45m"
EWMA_45M_DECAY = 0.5 ** (1 / 45)
# Below this weight, a day without candles at decay 0.94, what was seen has lost its say.
GONE = 1e-38
ORIGIN_STEP = 5
WINDOWS = {"variance_5m": 5, "variance_15m": 15, "variance_60m": 60}
COLUMNS = ("minute", "close", *MEASURES, EWMA_45M, "unmoved", "step")


def label(horizon: int) -> str:
    return f"label_{horizon}"


def outcome(horizon: int) -> str:
    return f"return_{horizon}"


@dataclass(frozen=True, slots=True)
class Minutes:
    """A gapless grid of minutes; NaN where there is no candle. `first` counts from 1970."""

    first: int
    open: Floats
    high: Floats
    low: Floats
    close: Floats

    @property
    def returns(self) -> Floats:
        """Log return of each minute from the one before; NaN unless both are there."""
        logs = np.log(self.close)
        changes: Floats = np.concatenate([[np.nan], np.diff(logs)])
        return changes


def grid(candles: pd.DataFrame) -> Minutes:
    """Candles (`minute`, open, high, low, close) in any order on a grid; the last of two wins.

    A candle whose prices are not positive and finite, or whose range does not hold its ends,
    is as absent as a missed poll.
    """
    prices = candles[["open", "high", "low", "close"]].to_numpy(np.float64)
    first, high, low, last = prices.T
    with np.errstate(invalid="ignore"):
        is_sound = np.isfinite(prices).all(axis=1) & (low > 0)
        is_sound &= (low <= np.minimum(first, last)) & (high >= np.maximum(first, last))
    minutes = candles["minute"].to_numpy(np.int64)[is_sound]
    if len(minutes) == 0:
        nothing = np.empty(0)
        return Minutes(0, nothing, nothing, nothing, nothing)
    begin = int(minutes.min())
    whole = np.full((4, int(minutes.max()) - begin + 1), np.nan)
    whole[:, minutes - begin] = prices[is_sound].T
    return Minutes(begin, *whole)


def build_inputs(candles: pd.DataFrame, *, every: int = ORIGIN_STEP) -> pd.DataFrame:
    """Rows at the origins: minutes that end at a multiple of `every` minutes and have a candle.

    `unmoved` is the share of the day's minutes without a price change, `step` the smallest step
    between prices of the same UTC day, which only training may look at.
    """
    found = grid(candles)
    minutes = found.first + np.arange(len(found.close))
    columns = measures(found) | labels(found)
    columns["step"] = daily_steps(found, minutes)
    rows = pd.DataFrame({"minute": minutes, "close": found.close, **columns})
    is_origin = ((minutes + 1) % every == 0) & ~np.isnan(found.close)
    return rows[is_origin].reset_index(drop=True)


def measures(minutes: Minutes) -> dict[str, Floats]:
    """The measures of gold/volatility as variances a minute; NaN where gold has null."""
    returns = minutes.returns
    squares, there = _masked(returns**2)
    columns = {
        name: _ratio(trailing(squares, n), trailing(there, n), least=n)
        for name, n in WINDOWS.items()
    }
    day_count = trailing(there, MINUTES_A_DAY)
    columns["variance_24h"] = _ratio(
        trailing(squares, MINUTES_A_DAY), day_count, least=DAY_COVERAGE * MINUTES_A_DAY
    )
    columns["ewma_094"] = weighted(squares, there, decay=DECAY)
    columns[EWMA_45M] = weighted(squares, there, decay=EWMA_45M_DECAY)
    ranges, seen = _masked(np.log(minutes.high / minutes.low) ** 2)
    bodies, _ = _masked(np.log(minutes.close / minutes.open) ** 2)
    count = trailing(seen, 60)
    mean_range = _ratio(trailing(ranges, 60), count, least=1)
    mean_body = _ratio(trailing(bodies, 60), count, least=1)
    columns["parkinson_1h"] = parkinson(mean_range)
    columns["garman_klass_1h"] = garman_klass(mean_range, mean_body)
    still = np.where(there > 0, (squares == 0).astype(float), 0.0)
    columns["unmoved"] = _ratio(trailing(still, MINUTES_A_DAY), day_count, least=1)
    return columns


def parkinson(mean_range: Floats) -> Floats:
    """Mean of ln(high/low)² over 4 ln 2 (Parkinson 1980)."""
    return mean_range / (4 * math.log(2))


def garman_klass(mean_range: Floats, mean_body: Floats) -> Floats:
    """Half of ln(high/low)² less (2 ln 2 - 1) ln(close/open)², not below zero (1980)."""
    return np.maximum(0.5 * mean_range - (2 * math.log(2) - 1) * mean_body, 0.0)


def labels(minutes: Minutes) -> dict[str, Floats]:
    """Realised variance and return of the minutes after the origin; NaN if one is missing."""
    squares, there = _masked(minutes.returns**2)
    logs = np.log(minutes.close)
    columns: dict[str, Floats] = {}
    for horizon in HORIZONS:
        realised = _ratio(trailing(squares, horizon), trailing(there, horizon), least=horizon)
        columns[label(horizon)] = _later(realised * horizon, horizon)
        columns[outcome(horizon)] = _later(logs, horizon) - logs
    return columns


def daily_steps(found: Minutes, minutes: np.ndarray) -> Floats:
    """Smallest price step of each UTC day, on every minute of the day."""
    steps = np.full(len(minutes), np.nan)
    days = minutes // MINUTES_A_DAY
    prices = np.stack([found.open, found.high, found.low, found.close])
    for day in np.unique(days):
        of_day = days == day
        steps[of_day] = price_step(prices[:, of_day])
    return steps


def trailing(values: Floats, n: int) -> Floats:
    """Sum over the last n values, fewer at the beginning.

    Summed block by block, so that a great value leaves no rounding error behind for ever.
    """
    series = pd.Series(values)
    if n <= 60:
        parts: Floats = np.add.reduce(
            [series.shift(k, fill_value=0.0).to_numpy() for k in range(n)]
        )
        return parts
    hours = trailing(values, 60)
    shifted = pd.Series(hours)
    day: Floats = np.add.reduce(
        [shifted.shift(k, fill_value=0.0).to_numpy() for k in range(0, n, 60)]
    )
    return day


def weighted(squares: Floats, there: Floats, *, decay: float) -> Floats:
    """Mean of the squares there are, weight decay^age."""
    total = pd.Series(squares).ewm(alpha=1 - decay, adjust=False).mean().to_numpy()
    weight = pd.Series(there).ewm(alpha=1 - decay, adjust=False).mean().to_numpy()
    return _ratio(total, weight, least=GONE)


def _masked(values: Floats) -> tuple[Floats, Floats]:
    """Values with zero for NaN, and 1 where there is one."""
    there = ~np.isnan(values)
    return np.where(there, values, 0.0), there.astype(np.float64)


def _ratio(total: Floats, count: Floats, *, least: float) -> Floats:
    ratio: Floats = np.full(len(total), np.nan)
    np.divide(total, count, out=ratio, where=count >= max(least, 1e-300))
    return ratio


def _later(values: Floats, minutes: int) -> Floats:
    """The value so many minutes later."""
    later: Floats = np.full(len(values), np.nan)
    later[:-minutes] = values[minutes:]
    return later
