"""One-minute candles of one instrument → what every model sees, and what it is judged on.

The measures are those of gold/volatility, each as variance a minute, so what is fitted here is
what that table serves. Everything of a row ends with its minute; labels start after it.
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
    "ewma",
    "parkinson_1h",
    "garman_klass_1h",
    "squared_1m",
    "squared_5m",
    "squared_1h",
    "squared_24h",
    "spread_20m",
    "true_range_14m",
)
# The plain recipe that is hard to beat at five minutes; it is a baseline and feeds no model.
EWMA_45M = "ewma_45m"
EWMA_45M_DECAY = 0.5 ** (1 / 45)
# Below this weight, a day without candles at decay 0.94, what was seen has lost its say.
GONE = 1e-38
ORIGIN_STEP = 5
WINDOWS = {"variance_5m": 5, "variance_15m": 15, "variance_60m": 60}
# Minutes of each measure that is the square of one return.
SQUARED = {"squared_1m": 1, "squared_5m": 5, "squared_1h": 60, "squared_24h": MINUTES_A_DAY}
# Of a random walk with variance v a minute: what its 20 prices vary around their mean, over v,
# and the squared mean of its one-minute range, over v (Feller 1951).
SPREAD = (20**2 - 1) / (6 * 20)
MEAN_RANGE_SQUARED = 8 / math.pi
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
    columns["ewma"] = weighted(squares, there, decay=DECAY)
    columns[EWMA_45M] = weighted(squares, there, decay=EWMA_45M_DECAY)
    ranges, seen = _masked(np.log(minutes.high / minutes.low) ** 2)
    bodies, _ = _masked(np.log(minutes.close / minutes.open) ** 2)
    count = trailing(seen, 60)
    mean_range = _ratio(trailing(ranges, 60), count, least=1)
    mean_body = _ratio(trailing(bodies, 60), count, least=1)
    columns["parkinson_1h"] = parkinson(mean_range)
    columns["garman_klass_1h"] = garman_klass(mean_range, mean_body)
    logs = np.log(minutes.close)
    columns |= {name: _since(logs, n) ** 2 / n for name, n in SQUARED.items()}
    columns["spread_20m"] = relative_spread(minutes.close, 20) / SPREAD
    true_ranges, ranged = _masked(true_range(minutes))
    mean_true_range = _ratio(trailing(true_ranges, 14), trailing(ranged, 14), least=1)
    columns["true_range_14m"] = (mean_true_range / minutes.close) ** 2 / MEAN_RANGE_SQUARED
    still = np.where(there > 0, (squares == 0).astype(float), 0.0)
    columns["unmoved"] = _ratio(trailing(still, MINUTES_A_DAY), day_count, least=1)
    return columns


def parkinson(mean_range: Floats) -> Floats:
    """Mean of ln(high/low)² over 4 ln 2 (Parkinson 1980)."""
    return mean_range / (4 * math.log(2))


def garman_klass(mean_range: Floats, mean_body: Floats) -> Floats:
    """Half of ln(high/low)² less (2 ln 2 - 1) ln(close/open)², not below zero (1980)."""
    return np.maximum(0.5 * mean_range - (2 * math.log(2) - 1) * mean_body, 0.0)


def relative_spread(close: Floats, n: int) -> Floats:
    """Variance of the last n prices over their squared mean, of those that are there."""
    prices, there = _masked(close)
    count = trailing(there, n)
    mean = _ratio(trailing(prices, n), count, least=1)
    total = np.zeros(len(close))
    for k in range(n):
        # Around the mean, so that a small spread is not lost beside the price.
        total += np.nan_to_num((_earlier(close, k) - mean) ** 2)
    return _ratio(total, count, least=1) / mean**2


def true_range(minutes: Minutes) -> Floats:
    """High less low, reaching to the close before where there is one (Wilder 1978)."""
    before = _earlier(minutes.close, 1)
    gaps = np.fmax(np.abs(minutes.high - before), np.abs(minutes.low - before))
    return np.fmax(minutes.high - minutes.low, gaps)


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


def _earlier(values: Floats, minutes: int) -> Floats:
    """The value so many minutes before."""
    earlier: Floats = pd.Series(values).shift(minutes).to_numpy(np.float64)
    return earlier


def _since(values: Floats, minutes: int) -> Floats:
    return values - _earlier(values, minutes)


def _later(values: Floats, minutes: int) -> Floats:
    """The value so many minutes later."""
    later: Floats = np.full(len(values), np.nan)
    later[:-minutes] = values[minutes:]
    return later
