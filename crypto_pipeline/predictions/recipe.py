"""The models, each as terms and coefficients: ln(variance a minute) = sum of weight times term.

All fitted models are log-linear in the same terms, so a combination in logs is one of them too,
and serving any of them is one sum a row. HAR is Corsi 2009, with minutes, an hour and a day in
place of a day, a week and a month, and the time of day as two harmonics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crypto_pipeline.predictions.inputs import MEASURES
from crypto_pipeline.predictions.losses import Floats
from crypto_pipeline.predictions.regression import gamma_regression, least_squares, own_level

TIME_TERMS = ("sin_1", "cos_1", "sin_2", "cos_2")
TERMS = ("intercept", *MEASURES, *TIME_TERMS)
HAR = ("intercept", "variance_5m", "variance_60m", "variance_24h", *TIME_TERMS)
RANGE = (
    *("intercept", "variance_5m", "parkinson_1h", "garman_klass_1h", "variance_24h"),
    *TIME_TERMS,
)

PERSISTENCE, EWMA_45M, EWMA_094 = "persistence", "ewma_45m", "ewma_094"
HAR_SYMBOL_LOG, HAR_SYMBOL, HAR_POOLED = "har_symbol_log", "har_symbol", "har_pooled"
RANGE_POOLED, GAMMA_POOLED, GAMMA_SYMBOL = "range_pooled", "gamma_pooled", "gamma_symbol"
BLEND = "blend"
FORMULAS = (PERSISTENCE, EWMA_45M, EWMA_094)
POOLED = (HAR_POOLED, RANGE_POOLED, GAMMA_POOLED)
MODELS = (
    *FORMULAS,
    HAR_SYMBOL_LOG,
    HAR_SYMBOL,
    HAR_POOLED,
    RANGE_POOLED,
    GAMMA_POOLED,
    GAMMA_SYMBOL,
    BLEND,
)
# What a challenger must beat; the best of these is the baseline.
BASELINES = (*FORMULAS, HAR_SYMBOL, HAR_POOLED)
CHALLENGER = BLEND

# Chosen on days before 2023-04-12 of the recorded candles.
POOL_RIDGE = 1e-4
SYMBOL_RIDGE = 0.5
POOL_WEIGHT = 50.0
FEWEST_ROWS = 500
# A symbol that does not move in so great a share of its minutes is thin.
THIN_SHARE = 0.5
GREATEST_LOG = 5.0

# A measure that is missing is stood in for by the next that is there.
STAND_INS: Mapping[str, tuple[str, ...]] = {
    "variance_5m": ("ewma_094",),
    "variance_15m": ("variance_5m", "ewma_094"),
    "variance_60m": ("ewma_094",),
    "variance_24h": ("variance_60m", "ewma_094"),
    "parkinson_1h": ("ewma_094",),
    "garman_klass_1h": ("parkinson_1h", "ewma_094"),
    "ewma_094": (),
}


@dataclass(frozen=True, slots=True)
class Weights:
    """One model of one horizon for one symbol, or for the pool: a weight for each of TERMS.

    `band` is the 90 % quantile of |return| over the square root of the forecast.
    """

    model: str
    values: tuple[float, ...]
    band: float
    rows: int

    def as_array(self) -> Floats:
        return np.array(self.values)


def design(columns: Mapping[str, Floats], floor: Floats, minute: np.ndarray) -> Floats:
    """The matrix of TERMS: logs of floored measures and the time of day; a row each.

    `floor` is a variance a minute. A row without `ewma_094` has NaN.
    """
    logs = [np.log(np.maximum(stood_in(columns, name), floor)) for name in MEASURES]
    return np.column_stack([np.ones(len(floor)), *logs, *time_terms(minute)])


def stood_in(columns: Mapping[str, Floats], name: str) -> Floats:
    """A measure, or where it is missing the first stand-in that is not."""
    values = columns[name]
    for other in STAND_INS[name]:
        values = np.where(np.isnan(values), columns[other], values)
    return values


def time_terms(minute: np.ndarray) -> list[Floats]:
    """Two harmonics of the time of day at the end of the minute, UTC."""
    angle = 2 * math.pi * ((minute + 1) % 1440) / 1440
    return [np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)]


def fit_pooled(x: Floats, y: Floats) -> dict[str, Floats]:
    """Weights of each pooled model; `y` is realised variance a minute, floored."""
    return {
        HAR_POOLED: log_fit(x, y, HAR, is_levelled=True),
        RANGE_POOLED: log_fit(x, y, RANGE, is_levelled=True),
        GAMMA_POOLED: gamma_regression(x, y, ridge=POOL_RIDGE),
    }


def fit_symbol(x: Floats, y: Floats, pool: Floats, *, horizon: int) -> dict[str, Floats]:
    """Weights of a symbol's own models; `pool` are those of GAMMA_POOLED.

    The labels of origins that lie closer than the horizon overlap, so they count for less.
    """
    own = gamma_regression(x, y, ridge=SYMBOL_RIDGE, toward=pool)
    levelled = pool.copy()
    overlap = max(1.0, horizon / 5)
    levelled[0] += own_level(y, np.exp(x @ pool), weight=POOL_WEIGHT * overlap)
    return {
        HAR_SYMBOL_LOG: log_fit(x, y, HAR, is_levelled=False),
        HAR_SYMBOL: log_fit(x, y, HAR, is_levelled=True),
        GAMMA_SYMBOL: own,
        BLEND: (own + levelled) / 2,
    }


def log_fit(x: Floats, y: Floats, terms: tuple[str, ...], *, is_levelled: bool) -> Floats:
    """Least squares in logs; levelled adds half the residual's variance, as for a log-normal."""
    places = [TERMS.index(name) for name in terms]
    beta, spread = least_squares(x[:, places], np.log(y))
    weights = np.zeros(len(TERMS))
    weights[places] = beta
    if is_levelled:
        weights[0] += spread / 2
    return weights


def predict(x: Floats, weights: Floats, floor: Floats, *, horizon: int) -> Floats:
    """Variance over the horizon, at least the floor; finite for any finite input."""
    level = np.minimum(x @ weights, GREATEST_LOG)
    forecast: Floats = np.maximum(np.exp(level), floor) * horizon
    return forecast


def band_width(returns: Floats, variance: Floats) -> float:
    """The 90 % quantile of |return| over its forecast deviation, of past forecasts."""
    scaled = np.abs(returns) / np.sqrt(variance)
    return float(np.quantile(scaled, 0.9))
