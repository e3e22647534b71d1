"""Made-up candles for the tests of the forecasts: a seeded market with a wandering variance."""

from __future__ import annotations

import numpy as np
import pandas as pd

FIRST = 28_000_800  # a midnight, in minutes since 1970


def market(
    *, days: float, seed: int, price: float = 100.0, step: float = 0.01, first: int = FIRST
) -> pd.DataFrame:
    """One symbol's minutes: log variance is an AR(1), prices are on a grid of `step`."""
    random = np.random.default_rng(seed)
    n = int(days * 1440)
    noise = random.normal(0, 0.12, n)
    level = np.empty(n)
    level[0] = 0.0
    for i in range(1, n):
        level[i] = 0.99 * level[i - 1] + noise[i]
    inner = random.normal(0, 1, (n, 8)) * np.exp((level - 14) / 2)[:, None] / np.sqrt(8)
    path = np.log(price) + np.cumsum(inner.ravel()).reshape(n, 8)
    quotes = np.maximum(np.round(np.exp(path) / step), 1) * step
    first_price = np.concatenate([[quotes[0, 0]], quotes[:-1, -1]])
    return pd.DataFrame(
        {
            "source": "test",
            "symbol": f"C{seed}-USDT",
            "minute": first + np.arange(n),
            "open": first_price,
            "high": np.maximum(first_price, quotes.max(axis=1)),
            "low": np.minimum(first_price, quotes.min(axis=1)),
            "close": quotes[:, -1],
        }
    )
