"""Is the difference of two losses more than chance: Diebold and Mariano's test.

Diebold and Mariano 1995, "Comparing predictive accuracy"; Bartlett weights by Newey and West
1987; small-sample factor and Student's t by Harvey, Leybourne and Newbold 1997.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crypto_pipeline.predictions.losses import Floats

# With fewer origins than this the statistic says nothing that one could lean on.
FEWEST_ORIGINS = 30


@dataclass(frozen=True, slots=True)
class Comparison:
    """Below zero: the first has the lower loss. `p_value` is two-sided; NaN when undefined."""

    statistic: float
    p_value: float
    origins: int
    lag: int


def diebold_mariano(difference: Floats, *, ahead: int, lag: int) -> Comparison:
    """Test that the mean of a loss difference is zero.

    `difference` is loss of the first minus loss of the second, one value an origin in order of
    time; `ahead` is the horizon in steps between origins, `lag` the Newey-West lag.
    """
    n = len(difference)
    if n < FEWEST_ORIGINS or lag >= n:
        return Comparison(math.nan, math.nan, n, lag)
    variance = long_run_variance(difference, lag=lag)
    harvey = (n + 1 - 2 * ahead + ahead * (ahead - 1) / n) / n
    if not variance > 0 or harvey <= 0:
        return Comparison(math.nan, math.nan, n, lag)
    statistic = float(np.mean(difference)) / math.sqrt(variance / n) * math.sqrt(harvey)
    return Comparison(statistic, two_sided(statistic, freedom=n - 1), n, lag)


def long_run_variance(values: Floats, *, lag: int) -> float:
    """Variance of sqrt(n) times the mean of a correlated series, with Bartlett weights."""
    centred = values - np.mean(values)
    n = len(values)
    total = float(centred @ centred)
    for k in range(1, lag + 1):
        total += 2 * (1 - k / (lag + 1)) * float(centred[k:] @ centred[:-k])
    return total / n


def newey_west_lag(origins: int, *, ahead: int) -> int:
    """At least the horizon in steps, and growing with the sample: 4 (n/100)^(2/9)."""
    return max(ahead, math.floor(4 * math.pow(origins / 100, 2 / 9)))


def two_sided(statistic: float, *, freedom: int) -> float:
    """P(|T| > |statistic|) of Student's t, by the incomplete beta function."""
    x = freedom / (freedom + statistic * statistic)
    return _incomplete_beta(x, freedom / 2, 0.5)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Regularised I_x(a, b) by its continued fraction (Abramowitz and Stegun 26.5.8)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(1 - x, b, a)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(scale + a * math.log(x) + b * math.log1p(-x)) / a
    # Evaluated from the front by Lentz's rule.
    fraction, c, d = 1.0, 1.0, 0.0
    for step in range(400):
        m = step // 2
        if step == 0:
            term = 1.0
        elif step % 2 == 0:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 + term * d
        d = 1 / (d if abs(d) > 1e-300 else 1e-300)
        c = 1 + term / c
        c = c if abs(c) > 1e-300 else 1e-300
        fraction *= c * d
        if abs(1 - c * d) < 1e-16:
            break
    return front * (fraction - 1)
