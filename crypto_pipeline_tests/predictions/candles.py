"""Made-up candles for the tests of the forecasts: a seeded market with a wandering variance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from crypto_pipeline.gold.volatility import MINUTES_A_YEAR
from crypto_pipeline.predictions import formula
from crypto_pipeline.predictions.inputs import MEAN_RANGE_SQUARED, SPREAD, SQUARED

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


def gold_row(seen: Mapping[Any, Any], symbol: str) -> dict[str, Any]:
    """A row of gold/volatility that says what the inputs of a minute say."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=int(seen["minute"]))
    close = seen["close"]
    row = {
        **{name: seen[name] * minutes for name, minutes in formula.MINUTES.items()},
        **{name: np.sqrt(seen[name] * MINUTES_A_YEAR) for name in formula.ANNUALISED},
        **{of: np.sqrt(seen[name] * SQUARED[name]) for name, of in formula.RETURNS.items()},
        "bollinger_width": 4 * np.sqrt(seen["spread_20m"] * SPREAD),
        "atr_14": np.sqrt(seen["true_range_14m"] * MEAN_RANGE_SQUARED) * close,
    }
    known = {name: None if np.isnan(value) else float(value) for name, value in row.items()}
    return {
        "source": "test", "symbol": symbol, "minute_at": at, "close": Decimal(f"{close:.8f}"),
        "date": at.date(), "batch": 1, **known,
    }  # fmt: skip
