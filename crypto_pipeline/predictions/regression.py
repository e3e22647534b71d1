"""The two fits behind every model: least squares in logs, and the fit of what is scored.

QLIKE is half the unit deviance of the gamma distribution, so the gamma regression with log link
minimises the very loss that a forecast is judged by: its level needs no correction.
"""

from __future__ import annotations

import numpy as np

from crypto_pipeline.predictions.losses import Floats

STEPS = 50
TOLERANCE = 1e-9
# A realised variance so many times its forecast pulls no harder than this: one jump must not
# decide the level of weeks.
GREATEST_RATIO = 50.0


def least_squares(x: Floats, y: Floats) -> tuple[Floats, float]:
    """Coefficients and the variance of the residual (population)."""
    beta: Floats = np.linalg.lstsq(x, y, rcond=None)[0].astype(np.float64)
    return beta, float(np.var(y - x @ beta))


def gamma_regression(
    x: Floats, y: Floats, *, ridge: float = 0.0, toward: Floats | None = None
) -> Floats:
    """Coefficients b of E[y] = exp(x b) that minimise the mean QLIKE plus ridge/2 |b - toward|².

    Fisher scoring; the first column is the intercept and is not shrunk. `toward` is zero unless
    given. Starts from it, else from least squares in logs.
    """
    columns = x.shape[1]
    centre = np.zeros(columns) if toward is None else toward
    shrink = np.full(columns, ridge * len(y))
    shrink[0] = 0.0
    beta: Floats = least_squares(x, np.log(y))[0] if toward is None else toward.copy()
    information = x.T @ x + np.diag(shrink)
    for _ in range(STEPS):
        ratio = np.minimum(y * np.exp(-(x @ beta)), GREATEST_RATIO)
        slope = x.T @ (ratio - 1) - shrink * (beta - centre)
        move = np.linalg.lstsq(information, slope, rcond=None)[0]
        beta = beta + move
        if np.abs(move).max() < TOLERANCE:
            break
    return beta


def own_level(y: Floats, forecast: Floats, *, weight: float) -> float:
    """Log of the factor that puts a pooled forecast on a symbol's own level, drawn to one.

    `weight` is how many independent observations the pool counts for.
    """
    ratio = np.minimum(y / forecast, GREATEST_RATIO)
    return float(np.log((ratio.sum() + weight) / (len(y) + weight)))
