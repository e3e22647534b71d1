"""No look ahead, and odd markets: a halt, a hole, a newcomer, tiny prices, a great fall."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from crypto_pipeline.predictions import recipe, scoreboard, walk
from crypto_pipeline.predictions.inputs import MEASURES, build_inputs, label, outcome
from crypto_pipeline.predictions.schema import HORIZONS
from crypto_pipeline_tests.predictions.candles import FIRST, market

DAYS = 4


def folds(days: int = 1, *, window: int = 3) -> tuple[walk.Fold, ...]:
    return walk.daily_folds(FIRST + DAYS * 1440 - 1, days=days, window_days=window)


def rows_of(*candles: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for one in candles:
        rows = build_inputs(one)
        rows["source"], rows["symbol"] = one["source"].iloc[0], one["symbol"].iloc[0]
        parts.append(rows)
    return pd.concat(parts, ignore_index=True)


def pool_of(rows: pd.DataFrame, horizon: int, over: tuple[walk.Fold, ...]) -> walk.Pool:
    pool: dict[int, dict[str, recipe.Weights]] = {}
    for row in walk.fit_pool(rows, horizon=horizon, folds=over).itertuples():
        weights = recipe.Weights(row.model, tuple(row.values), row.band, row.rows, row.spread)
        pool.setdefault(row.fold, {})[row.model] = weights
    return pool


def walked(rows: pd.DataFrame, *, horizon: int = 5) -> pd.DataFrame:
    over = folds()
    pool = pool_of(rows, horizon, over)
    parts = []
    for (source, symbol), own in rows.groupby(["source", "symbol"]):
        part = walk.forecast_symbol(own, horizon=horizon, folds=over, pool=pool)
        parts.append(part.assign(source=source, symbol=symbol))
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


@pytest.fixture(scope="module")
def two() -> tuple[pd.DataFrame, pd.DataFrame]:
    return market(days=DAYS, seed=1), market(days=DAYS, seed=2, price=1.0, step=0.0001)


@pytest.mark.parametrize("after", [DAYS * 1440 // 2 + 7, DAYS * 1440 - 500])
def test_poison_after_an_origin_changes_no_input_of_it(
    two: tuple[pd.DataFrame, pd.DataFrame], after: int
) -> None:
    poisoned = two[0].copy()
    for name in ("open", "high", "low", "close"):
        poisoned.loc[after:, name] = 1e6 * np.arange(1, len(poisoned) - after + 1)
    clean, dirty = build_inputs(two[0]), build_inputs(poisoned)
    known = clean["minute"] < FIRST + after
    seen = ["minute", "close", *MEASURES, recipe.EWMA_45M, "unmoved"]
    pd.testing.assert_frame_equal(clean.loc[known, seen], dirty.loc[known, seen], rtol=1e-12)
    for horizon in HORIZONS:
        labelled = clean["minute"] + horizon < FIRST + after
        assert clean.loc[labelled, label(horizon)].equals(dirty.loc[labelled, label(horizon)])


def test_poison_after_a_fold_begins_changes_no_fit_of_it(
    two: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    (fold,) = folds()
    for horizon in HORIZONS:
        fits = []
        for factor in (1.0, 50.0):
            candles = [one.copy() for one in two]
            for one in candles:
                late = one["minute"] >= fold.start - walk.EMBARGO
                one.loc[late, ["open", "high", "low", "close"]] *= factor
            fits.append(walk.fit_pool(rows_of(*candles), horizon=horizon, folds=(fold,)))
        assert {recipe.HAR_POOLED, recipe.BLEND} <= set(fits[0]["model"])
        np.testing.assert_allclose(
            np.stack(fits[0]["values"]), np.stack(fits[1]["values"]), rtol=1e-9
        )


def spoken(rows: pd.DataFrame, at: int, *, horizon: int) -> dict[str, float]:
    """What each model says at one origin, from everything it may see of the rows."""
    (fold,) = folds()
    pool = pool_of(rows, horizon, (fold,))[0]
    own = rows[rows["symbol"] == "C1-USDT"]
    training = own[fold.is_training(own["minute"].to_numpy(), horizon=horizon)]
    step = walk.training_step(own, fold.is_training(own["minute"].to_numpy(), horizon=horizon))
    models, _ = walk.own_weights(training, step, horizon=horizon, pool=pool)
    seen = walk.prepare(own[own["minute"] == at], np.array([step]))
    return {
        model: float(walk.variances(model, seen, models, horizon=horizon)[0])
        for model in recipe.MODELS
    }


@pytest.mark.parametrize("horizon", HORIZONS)
def test_poison_after_an_origin_changes_no_forecast_at_it(
    two: tuple[pd.DataFrame, pd.DataFrame], horizon: int
) -> None:
    at = FIRST + (DAYS - 1) * 1440 + 604
    poisoned = []
    for one in two:
        dirty = one.copy()
        late = dirty["minute"] > at
        path = 1e6 * np.random.default_rng(horizon).uniform(0.5, 2, (int(late.sum()), 4))
        dirty.loc[late, ["low", "open", "close", "high"]] = np.sort(path, axis=1)
        poisoned.append(dirty)
    clean = spoken(rows_of(*two), at, horizon=horizon)
    assert len(clean) == len(recipe.MODELS)
    assert all(value > 0 for value in clean.values())
    assert spoken(rows_of(*poisoned), at, horizon=horizon) == pytest.approx(clean, rel=1e-12)


def test_labels_are_the_variance_and_return_of_the_minutes_after() -> None:
    candles = market(days=1, seed=3)
    rows = build_inputs(candles).set_index("minute")
    logs = np.log(candles.set_index("minute")["close"])
    at = FIRST + 404
    for horizon in HORIZONS:
        after = logs.loc[at : at + horizon].diff().dropna()
        assert rows.loc[at, label(horizon)] == pytest.approx(float((after**2).sum()), rel=1e-9)
        assert rows.loc[at, outcome(horizon)] == pytest.approx(float(after.sum()), rel=1e-9)


def test_a_missing_minute_gives_no_label_and_a_flat_one_does() -> None:
    candles = market(days=1, seed=4)
    hole = build_inputs(candles.drop(index=[700])).set_index("minute")
    late = FIRST + 694
    assert np.isnan(hole.loc[late, label(15)])
    assert np.isfinite(hole.loc[FIRST + 679, label(15)])
    assert np.isfinite(hole.loc[late, label(5)])
    flat = candles.copy()
    flat.loc[600:, ["open", "high", "low", "close"]] = flat.loc[599, "close"]
    assert build_inputs(flat).set_index("minute").loc[FIRST + 799, label(5)] == 0.0


def test_inputs_a_bar_late_score_worse(two: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    rows = rows_of(*two)
    late = rows.copy()
    for symbol in late["symbol"].unique():
        own = late["symbol"] == symbol
        late.loc[own, list(MEASURES)] = rows.loc[own, list(MEASURES)].shift(1).to_numpy()
    now, then = walked(rows), walked(late)
    assert now["blend_pooled_qlike"].mean() < then["blend_pooled_qlike"].mean()


def test_the_challenger_is_at_least_as_good_as_a_plain_average_where_variance_clusters(
    two: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    found = walked(rows_of(*two))
    assert found["blend_pooled_qlike"].mean() < found["persistence_qlike"].mean()
    assert 0.85 < found["blend_pooled_inside"].mean() < 0.95
    names = {s.group for s in scoreboard.score(found, horizon=5)}
    assert {"all", "liquid", "symbol:test:C1-USDT"} <= names


def odd(kind: str) -> pd.DataFrame:
    candles = market(days=DAYS, seed=9)
    prices = ["open", "high", "low", "close"]
    if kind == "constant":
        candles[prices] = 5.0
    elif kind == "halted":
        candles.loc[3 * 1440 + 200 :, prices] = candles.loc[3 * 1440 + 199, "close"]
    elif kind == "starts today":
        candles = candles[candles["minute"] >= FIRST + (DAYS - 1) * 1440 + 300]
    elif kind == "tiny":
        candles = market(days=DAYS, seed=9, price=1e-12, step=1e-15)
    elif kind == "fall":
        candles.loc[3 * 1440 + 100 :, prices] /= 10_000
    elif kind == "hole":
        candles = candles.drop(index=range(700, 2 * 1440))
    elif kind == "broken":
        candles.loc[::7, "high"] = np.nan
        candles.loc[::11, "low"] = -1.0
    candles["symbol"] = "ODD-USDT"
    return candles.reset_index(drop=True)


# What a symbol without a floor or a label is refused for is said by `evaluate`.
REFUSED = {"constant", "starts today", "broken"}


@pytest.mark.parametrize(
    "kind", ["constant", "halted", "starts today", "tiny", "fall", "hole", "broken"]
)
def test_an_odd_market_has_finite_losses_or_none_and_harms_no_other(
    two: tuple[pd.DataFrame, pd.DataFrame], kind: str
) -> None:
    horizon = HORIZONS[len(kind) % len(HORIZONS)]
    found = walked(rows_of(*two, odd(kind)), horizon=horizon)
    columns = list(walk.loss_columns())
    assert np.isfinite(found[columns].to_numpy(np.float64)).all()
    assert (kind in REFUSED) == ("ODD-USDT" not in set(found["symbol"]))
    others = found[found["symbol"] != "ODD-USDT"]
    assert len(others) > 500
    assert others["blend_pooled_qlike"].mean() < 2


def test_a_symbol_with_a_short_past_is_served_by_the_pool_and_marked(
    two: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    young = two[1][two[1]["minute"] >= FIRST + 2 * 1440 + 360].assign(symbol="NEW-USDT")
    found = walked(rows_of(two[0], young.reset_index(drop=True)))
    marks = found.groupby("symbol")["is_pooled"].unique().map(list)
    assert marks["NEW-USDT"] == [True]
    assert marks["C1-USDT"] == [False]


def test_promotion_needs_a_lower_loss_beyond_chance() -> None:
    random = np.random.default_rng(8)
    base = random.chisquare(2, 600)
    columns = {f"{model}_qlike": base + 1 for model in recipe.MODELS}
    noise = random.normal(0, 0.3, 600)
    frame = pd.DataFrame({"minute": FIRST + 5 * np.arange(600), **columns})
    better = frame.assign(blend_pooled_qlike=base + 0.8 + noise, har_pooled_qlike=base + 0.95)
    verdict = scoreboard.judge(better, horizon=5)
    assert (verdict.served, verdict.baseline) == (recipe.BLEND, recipe.HAR_POOLED)
    even = frame.assign(blend_pooled_qlike=base + 1 + noise - noise.mean() - 1e-4)
    verdict = scoreboard.judge(even, horizon=5)
    assert not verdict.is_promoted
    assert verdict.served in recipe.BASELINES
    assert "beyond chance" in verdict.reason
