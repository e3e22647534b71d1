"""Measures of gold/volatility over closes in memory: what the stage computes, a day at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from crypto_pipeline.gold.volatility import DAY_COVERAGE, DECAY, MINUTES_A_DAY, MINUTES_A_YEAR
from crypto_pipeline_tests.fabricated.market import Market

Floats = NDArray[np.float64]
LEAD = 2 * MINUTES_A_DAY
WINDOWS = {5: "5m", 15: "15m", 60: "60m"}


def measured(market: Market, first: int, until: int) -> dict[str, Floats]:
    """Every measure of the minutes that end with polls [first, until): a row a minute.

    Minute 1 is the first that the lake has; what reaches further back sees nothing there.
    """
    begin = max(1, first - LEAD)
    bars = {k: v / 100 for k, v in market.candles(begin, until).items()}
    close = _padded(bars["close"], LEAD - (first - begin))
    high, low, opened = (_padded(bars[k], LEAD - (first - begin)) for k in ("high", "low", "open"))
    count = until - first
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.log(close[1:] / close[:-1])
        found: dict[str, Floats] = {
            f"return_{name}": np.log(close / _back(close, minutes))[-count:]
            for name, minutes in (("1m", 1), ("5m", 5), ("1h", 60), ("24h", MINUTES_A_DAY))
        }
        found |= _variances(r, count)
        hl2, co2 = np.log(high / low) ** 2, np.log(close / opened) ** 2
        found |= _ranges(hl2, co2, count)
    before = _back(close, 1)
    reach = np.fmax(high - low, np.fmax(np.abs(high - before), np.abs(low - before)))
    found["atr_14"] = _mean(reach, 14, count)
    found |= _bands(close, r, count)
    return found


def _variances(r: Floats, count: int) -> dict[str, Floats]:
    squares = r * r
    found: dict[str, Floats] = {}
    for minutes, name in WINDOWS.items():
        # One that is missing leaves the sum without a value.
        found[f"variance_{name}"] = sliding_window_view(squares, minutes, axis=0).sum(-1)[-count:]
    there = np.isfinite(squares)
    sums, counts = (
        (total := np.cumsum(part, axis=0))[-count:] - total[-count - MINUTES_A_DAY : -MINUTES_A_DAY]
        for part in (np.where(there, squares, 0.0), there.astype(np.float64))
    )
    enough = counts >= DAY_COVERAGE * MINUTES_A_DAY
    found["variance_24h"] = np.where(enough, sums * MINUTES_A_DAY / counts, np.nan)
    found["returns_24h"] = counts
    found["ewma"] = _annual(_weighted(squares)[-count:], 1)
    for minutes, of, name in ((5, "5m", "5m"), (60, "60m", "1h"), (MINUTES_A_DAY, "24h", "24h")):
        found[f"volatility_{name}"] = _annual(found[f"variance_{of}"], minutes)
    return found


def _weighted(squares: Floats) -> Floats:
    """Mean with weights that fall by DECAY a minute, of what is there."""
    total, weights = np.zeros(squares.shape[1]), np.zeros(squares.shape[1])
    found = np.empty_like(squares)
    for row, square in enumerate(squares):
        there = np.isfinite(square)
        total = total * DECAY + np.where(there, square, 0.0)
        weights = weights * DECAY + there
        found[row] = total / weights
    return found


def _ranges(hl2: Floats, co2: Floats, count: int) -> dict[str, Floats]:
    ranges, bodies = _mean(hl2, 60, count), _mean(co2, 60, count)
    klass = 0.5 * ranges - (2 * np.log(2) - 1) * bodies
    return {
        "parkinson_1h": _annual(ranges / (4 * np.log(2)), 1),
        "garman_klass_1h": _annual(np.maximum(klass, 0.0), 1),
    }


def _bands(close: Floats, r: Floats, count: int) -> dict[str, Floats]:
    middle = _mean(close, 20, count)
    deviation = np.sqrt(np.maximum(_mean((close - close[-1]) ** 2, 20, count)
                                   - (middle - close[-1]) ** 2, 0.0))  # fmt: skip
    hour = sliding_window_view(r, 60, axis=0)[-count:]
    there = np.isfinite(hour).sum(-1)
    mean = np.where(there > 0, np.nansum(hour, axis=-1) / np.maximum(there, 1), np.nan)
    spread = np.nansum((hour - mean[..., None]) ** 2, axis=-1) / np.maximum(there - 1, 1)
    usual = np.where(there > 1, np.sqrt(spread), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "bollinger_middle": middle,
            "bollinger_upper": middle + 2 * deviation,
            "bollinger_lower": middle - 2 * deviation,
            "bollinger_width": 4 * deviation / middle,
            "z_score": r[-count:] / usual,
        }


def _mean(values: Floats, minutes: int, count: int) -> Floats:
    """Of the last minutes, those that are there."""
    window = sliding_window_view(values, minutes, axis=0)[-count:]
    there = np.isfinite(window).sum(-1)
    return np.where(there > 0, np.nansum(window, axis=-1) / np.maximum(there, 1), np.nan)


def _annual(variance: Floats, minutes: int) -> Floats:
    return np.sqrt(variance * (MINUTES_A_YEAR / minutes))


def _back(values: Floats, minutes: int) -> Floats:
    return _padded(values[:-minutes], minutes)


def _padded(values: Floats, rows: int) -> Floats:
    return np.concatenate([np.full((rows, values.shape[1]), np.nan), values])


def forecast(found: Mapping[str, Floats], *, horizons: tuple[int, ...]) -> NDArray[Any]:
    """Variance that persistence and ewma say of each horizon: minutes, coins, horizons, models."""
    said = [
        (found[f"variance_{WINDOWS[horizon]}"], found["ewma"] ** 2 / MINUTES_A_YEAR * horizon)
        for horizon in horizons
    ]
    return np.stack([np.stack(pair, axis=-1) for pair in said], axis=2)
