"""Losses, tests and fits against other implementations: statsmodels, scipy, closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.genmod.families import Gamma
from statsmodels.genmod.families.links import Log

from crypto_pipeline.predictions import inputs, recipe
from crypto_pipeline.predictions.losses import (
    pinball,
    price_step,
    qlike,
    squared_log_error,
    variance_floor,
)
from crypto_pipeline.predictions.regression import gamma_regression, least_squares
from crypto_pipeline.predictions.significance import (
    FEWEST_ORIGINS,
    diebold_mariano,
    long_run_variance,
    newey_west_lag,
)

# statsmodels clips ratios near the smallest double.
variance = st.floats(1e-6, 1e3)


@given(variance, variance)
def test_qlike_is_half_the_deviance_of_the_gamma_distribution(y: float, f: float) -> None:
    one = float(qlike(np.array([y]), np.array([f]))[0])
    assert one == pytest.approx(y / f - math.log(y / f) - 1, rel=1e-8, abs=1e-8)
    assert one >= -1e-12
    deviance = Gamma(Log()).deviance(np.array([y]), np.array([f]))
    assert one == pytest.approx(deviance / 2, rel=1e-8, abs=1e-8)


def test_qlike_is_least_at_the_mean_of_what_is_realised() -> None:
    y = np.random.default_rng(1).chisquare(3, 500)
    grid = np.linspace(0.5, 2, 301) * y.mean()
    losses = [qlike(y, np.full(len(y), f)).mean() for f in grid]
    assert grid[int(np.argmin(losses))] == pytest.approx(y.mean())


def test_the_other_losses_are_their_closed_forms() -> None:
    y, f = np.array([1.0, math.e]), np.array([math.e, math.e])
    assert squared_log_error(y, f) == pytest.approx([1.0, 0.0])
    assert pinball(np.array([1.0, -1.0]), np.zeros(2), level=0.05) == pytest.approx([0.05, 0.95])


def test_the_floor_is_half_a_step_of_the_price_squared_times_the_minutes() -> None:
    prices = np.array([0.1, 0.1, 0.3, 0.25, math.nan, 0.3])
    step = price_step(prices)
    assert step == pytest.approx(0.05)
    floor = variance_floor(np.array([step]), np.array([0.5]), horizon=15)
    assert floor == pytest.approx([(0.025 / 0.5) ** 2 * 15])
    assert math.isnan(price_step(np.array([7.0, 7.0])))


@pytest.mark.parametrize(("ahead", "n"), [(1, 200), (3, 517), (12, 5760)])
def test_diebold_mariano_is_a_regression_on_a_constant_with_newey_west_errors(
    ahead: int, n: int
) -> None:
    random = np.random.default_rng(n)
    difference = np.convolve(random.normal(0.05, 1, n + ahead), np.ones(ahead), "valid")[:n]
    lag = newey_west_lag(n, ahead=ahead)
    found = diebold_mariano(difference, ahead=ahead, lag=lag)
    fitted = sm.OLS(difference, np.ones(n)).fit(
        cov_type="HAC", cov_kwds={"maxlags": lag, "use_correction": False}
    )
    harvey = math.sqrt((n + 1 - 2 * ahead + ahead * (ahead - 1) / n) / n)
    assert lag >= ahead
    assert found.statistic == pytest.approx(float(fitted.tvalues[0]) * harvey, rel=1e-8)
    expected = 2 * stats.t.sf(abs(found.statistic), n - 1)
    assert found.p_value == pytest.approx(expected, rel=1e-8)
    assert long_run_variance(difference, lag=lag) == pytest.approx(
        float(fitted.bse[0]) ** 2 * n, rel=1e-8
    )


def test_too_few_origins_or_equal_losses_have_no_p_value() -> None:
    few = diebold_mariano(np.ones(FEWEST_ORIGINS - 1), ahead=1, lag=1)
    same = diebold_mariano(np.zeros(500), ahead=1, lag=3)
    assert math.isnan(few.p_value)
    assert math.isnan(same.p_value)


def regression_data(seed: int, *, rows: int = 900) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = np.column_stack([np.ones(rows), random.normal(-13, 1, (rows, len(recipe.TERMS) - 1))])
    beta = np.concatenate([[-1.0], np.full(len(recipe.TERMS) - 1, 0.08)])
    return x, np.exp(x @ beta) * random.chisquare(5, rows) / 5


def test_har_is_ordinary_least_squares_in_logs() -> None:
    x, y = regression_data(2)
    places = [recipe.TERMS.index(name) for name in recipe.HAR]
    expected = sm.OLS(np.log(y), x[:, places]).fit()
    plain = recipe.log_fit(x, y, recipe.HAR, is_levelled=False)
    levelled = recipe.log_fit(x, y, recipe.HAR, is_levelled=True)
    assert plain[places] == pytest.approx(expected.params, rel=1e-8, abs=1e-8)
    spread = float(np.var(expected.resid))
    assert levelled[0] - plain[0] == pytest.approx(spread / 2, rel=1e-8)
    assert least_squares(x[:, places], np.log(y))[1] == pytest.approx(spread, rel=1e-8)
    others = [i for i in range(len(recipe.TERMS)) if i not in places]
    assert not plain[others].any()


def test_what_is_scored_is_what_is_fitted() -> None:
    x, y = regression_data(3)
    found = gamma_regression(x, y)
    expected = sm.GLM(y, x, family=Gamma(Log())).fit(tol=1e-14, maxiter=200)
    assert found == pytest.approx(expected.params, rel=1e-6, abs=1e-8)
    assert (
        qlike(y, np.exp(x @ found)).mean() <= qlike(y, np.exp(x @ expected.params)).mean() + 1e-12
    )


def test_a_great_ridge_leaves_the_mean_and_a_jump_moves_little() -> None:
    x, y = regression_data(4)
    drawn = gamma_regression(x, y, ridge=1e9)
    assert drawn[1:] == pytest.approx(np.zeros(len(drawn) - 1), abs=1e-5)
    assert math.exp(drawn[0]) == pytest.approx(float(y.mean()), rel=1e-3)
    jumped = y.copy()
    jumped[0] *= 1e8
    calm, shaken = gamma_regression(x, y), gamma_regression(x, jumped)
    assert np.mean(x @ shaken) - np.mean(x @ calm) < 0.2


def test_parkinson_and_garman_klass_are_their_closed_forms() -> None:
    high, low, close, opened = 103.0, 99.0, 101.0, 100.0
    ranges = np.array([math.log(high / low) ** 2])
    bodies = np.array([math.log(close / opened) ** 2])
    assert inputs.parkinson(ranges)[0] == pytest.approx(0.36067376022224085 * ranges[0], rel=1e-8)
    expected = 0.5 * ranges[0] - 0.38629436111989056 * bodies[0]
    assert inputs.garman_klass(ranges, bodies)[0] == pytest.approx(expected, rel=1e-8)
    assert inputs.garman_klass(ranges, 2 * ranges)[0] == 0.0


def test_the_blend_is_the_geometric_mean_of_the_fits_in_logs_and_of_what_is_scored() -> None:
    x, y = regression_data(5)
    fitted = recipe.fit_pooled(x, y)
    floor = np.full(len(y), 1e-30)
    parts = [fitted[recipe.GAMMA_POOLED], recipe.log_fit(x, y, recipe.TERMS, is_levelled=True)]
    one, other = (recipe.predict(x, part, floor, horizon=5) for part in parts)
    blend = recipe.predict(x, fitted[recipe.BLEND], floor, horizon=5)
    assert blend == pytest.approx(np.sqrt(one * other), rel=1e-8)
