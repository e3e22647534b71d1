"""The models, each as terms and coefficients: ln(variance a minute) = sum of weight times term.

The walk forward and the minute cycle fit by these functions, and what they fit is log-linear in
the same terms of one row of gold/volatility, so a combination in logs is one of the models too
and serving any is one sum a row. HAR is Corsi 2009, with minutes, an hour and a day in place of a
day, a week and a month, and the time of day as two harmonics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crypto_pipeline.predictions.inputs import MEASURES
from crypto_pipeline.predictions.losses import Floats
from crypto_pipeline.predictions.regression import gamma_regression, least_squares

TIME_TERMS = ("sin_1", "cos_1", "sin_2", "cos_2")
TERMS = ("intercept", *MEASURES, *TIME_TERMS)
HAR = ("intercept", "variance_5m", "variance_60m", "variance_24h", *TIME_TERMS)
RANGE = (
    *("intercept", "variance_5m", "parkinson_1h", "garman_klass_1h", "variance_24h"),
    *TIME_TERMS,
)

PERSISTENCE, EWMA, EWMA_45M = "persistence", "ewma", "ewma_45m"
HAR_SYMBOL_LOG, HAR_SYMBOL, HAR_POOLED = "har_symbol_log", "har_symbol", "har_pooled"
RANGE_POOLED, GAMMA_POOLED, BLEND = "range_pooled", "gamma_pooled", "blend_pooled"
FORMULAS = (PERSISTENCE, EWMA_45M, EWMA)
MODELS = (
    *FORMULAS,
    HAR_SYMBOL_LOG,
    HAR_SYMBOL,
    HAR_POOLED,
    RANGE_POOLED,
    GAMMA_POOLED,
    BLEND,
)
# The best of these is what the table compares with.
BASELINES = (*FORMULAS, HAR_SYMBOL_LOG, HAR_SYMBOL, HAR_POOLED)
CHALLENGER = BLEND
# What the minute cycle forecasts by: formulas, and fits over all symbols. The gate chooses among
# these; the challenger must beat the best of the others.
LIVE_FORMULAS = (EWMA, PERSISTENCE)
LIVE_FITTED = (HAR_POOLED, BLEND)
LIVE_BASELINES = (*LIVE_FORMULAS, HAR_POOLED)

# Chosen on days before 2023-04-12 of the recorded candles.
WINDOW_DAYS = 14
RIDGE = 1e-2
# A measure counts as at least so much of the day's variance: a quiet minute says "low", not how
# low. And a variance a minute below LEAST (a coin that never moves) as that.
FLOOR_SHARE = 1e-2
LEAST = 1e-14
FEWEST_ROWS = 500
# A symbol that does not move in so great a share of its minutes is thin.
THIN_SHARE = 0.5
GREATEST_LOG = 5.0
# Half of the 90 % band of a normal return, of those models whose band is not fitted.
NORMAL_95 = 1.6448536269514722

# A measure that is missing is stood in for by the next that is there.
STAND_INS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(MEASURES, ("ewma",)),
    "variance_15m": ("variance_5m", "ewma"),
    "variance_24h": ("variance_60m", "ewma"),
    "garman_klass_1h": ("parkinson_1h", "ewma"),
    "ewma": (),
}


@dataclass(frozen=True, slots=True)
class Weights:
    """One model of one horizon for one symbol, or for the pool: a weight for each of TERMS.

    `band` is the 90 % quantile of |return| over the square root of the forecast, `spread` the
    variance of what is left in logs.
    """

    model: str
    values: tuple[float, ...]
    band: float
    rows: int
    spread: float

    def as_array(self) -> Floats:
        return np.array(self.values)


def design(columns: Mapping[str, Floats], minute: np.ndarray) -> Floats:
    """The matrix of TERMS: logs of floored measures and the time of day; a row each.

    A row without `ewma` has NaN.
    """
    floor = np.maximum(FLOOR_SHARE * stood_in(columns, "variance_24h"), LEAST)
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
    """Weights of each pooled model; `y` is realised variance a minute, floored.

    Of the same terms, the fit in logs puts the level low and the gamma fit high in a calm that
    follows a storm, so the blend is the mean of their logs.
    """
    gamma = gamma_regression(x, y, ridge=RIDGE)
    logs = log_fit(x, y, TERMS, is_levelled=True)
    return {
        HAR_POOLED: log_fit(x, y, HAR, is_levelled=True),
        RANGE_POOLED: log_fit(x, y, RANGE, is_levelled=True),
        GAMMA_POOLED: gamma,
        BLEND: (gamma + logs) / 2,
    }


def fit_symbol(x: Floats, y: Floats) -> dict[str, Floats]:
    """Weights of a symbol's own models."""
    return {
        HAR_SYMBOL_LOG: log_fit(x, y, HAR, is_levelled=False),
        HAR_SYMBOL: log_fit(x, y, HAR, is_levelled=True),
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
