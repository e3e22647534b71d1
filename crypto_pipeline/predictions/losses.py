"""What a forecast is judged by: losses of variances and of return bands.

Variances are of the log return over the whole horizon. Every variance, forecast or realised,
is raised to one floor first, so that a coin that did not move has a finite loss in every model.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

LOW, MIDDLE, HIGH = 0.05, 0.5, 0.95


def price_step(prices: Floats) -> float:
    """The smallest step between two different prices that were seen; NaN for fewer than two.

    Equal decimals are equal doubles, so a step is never the noise of the last bit.
    """
    seen = np.unique(prices[np.isfinite(prices) & (prices > 0)])
    return float(np.diff(seen).min()) if len(seen) > 1 else float("nan")


def variance_floor(step: Floats, price: Floats, *, horizon: int) -> Floats:
    """(Half a price step ÷ price)² a minute, times the minutes of the horizon."""
    floor: Floats = (0.5 * step / price) ** 2 * horizon
    return floor


def qlike(realised: Floats, forecast: Floats) -> Floats:
    """y/f - ln(y/f) - 1: zero at y = f, and it ranks forecasts rightly under noise in y.

    Patton 2011, "Volatility forecast comparison using imperfect volatility proxies".
    """
    ratio = realised / forecast
    loss: Floats = ratio - np.log(ratio) - 1
    return loss


def squared_log_error(realised: Floats, forecast: Floats) -> Floats:
    """(ln y - ln f)²."""
    error: Floats = np.log(realised / forecast) ** 2
    return error


def pinball(returns: Floats, quantile: Floats, *, level: float) -> Floats:
    """Koenker and Bassett 1978: the loss that the quantile of that level minimises."""
    miss = returns - quantile
    loss: Floats = np.maximum(level * miss, (level - 1) * miss)
    return loss


def band_loss(returns: Floats, low: Floats, middle: Floats, high: Floats) -> Floats:
    """Mean pinball loss of the 5, 50 and 95 % quantiles."""
    parts = [
        pinball(returns, quantile, level=level)
        for quantile, level in ((low, LOW), (middle, MIDDLE), (high, HIGH))
    ]
    loss: Floats = np.mean(parts, axis=0)
    return loss
