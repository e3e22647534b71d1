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
GREATEST_RATIO = 20.0


def least_squares(x: Floats, y: Floats) -> tuple[Floats, float]:
    """Coefficients and the variance of the residual (population)."""
    beta: Floats = np.linalg.lstsq(x, y, rcond=None)[0].astype(np.float64)
    return beta, float(np.var(y - x @ beta))


def gamma_regression(x: Floats, y: Floats, *, ridge: float = 0.0) -> Floats:
    """Coefficients b of E[y] = exp(x b) that minimise the mean QLIKE plus ridge/2 |b|².

    Fisher scoring from least squares in logs; the first column is the intercept and is not shrunk.
    """
    shrink = np.full(x.shape[1], ridge * len(y))
    shrink[0] = 0.0
    beta = least_squares(x, np.log(y))[0]
    information = x.T @ x + np.diag(shrink)
    for _ in range(STEPS):
        ratio = np.minimum(y * np.exp(-(x @ beta)), GREATEST_RATIO)
        slope = x.T @ (ratio - 1) - shrink * beta
        move = np.linalg.lstsq(information, slope, rcond=None)[0]
        beta = beta + move
        if np.abs(move).max() < TOLERANCE:
            break
    return beta
