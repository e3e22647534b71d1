"""Walk forward: fit on a rolling window, forecast the days after it, never the other way.

`fit_pool` and `forecast_symbol` are plain functions of pandas frames, made for Spark's
applyInPandas: the first sees a sample of all symbols, the second one symbol with all its days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from crypto_pipeline.predictions import recipe
from crypto_pipeline.predictions.inputs import MEASURES, label, outcome
from crypto_pipeline.predictions.losses import (
    Floats,
    band_loss,
    qlike,
    squared_log_error,
    variance_floor,
)

MINUTES_A_DAY = 1440
# Beyond the horizon, so much stays out of training before the days that are forecast.
EMBARGO = 60
REGIMES = ("calm", "usual", "wild")
LOSSES = ("qlike", "log_error", "pinball", "inside")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Origins in [start, end) are forecast; training labels end before start less the embargo."""

    start: int
    end: int
    window: int

    def is_test(self, minute: np.ndarray) -> np.ndarray:
        return (minute >= self.start) & (minute < self.end)

    def is_training(self, minute: np.ndarray, *, horizon: int) -> np.ndarray:
        """Purged: the last minute of a label is at most one embargo before the first origin."""
        begin = self.start - self.window
        return (minute >= begin) & (minute + horizon + EMBARGO < self.start)


def daily_folds(last: int, *, days: int, window_days: int) -> tuple[Fold, ...]:
    """One fold a UTC day, the last one holding the minute `last`."""
    final = last // MINUTES_A_DAY
    return tuple(
        Fold(
            start=day * MINUTES_A_DAY,
            end=(day + 1) * MINUTES_A_DAY,
            window=window_days * MINUTES_A_DAY,
        )
        for day in range(final - days + 1, final + 1)
    )


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows of one fold and symbol or pool, with the floor that training gives them."""

    x: Floats
    floor: Floats
    rows: pd.DataFrame


def prepare(rows: pd.DataFrame, step: Floats) -> Prepared:
    """Rows with an average and a known price step; `step` is one a row."""
    floor = variance_floor(step, rows["close"].to_numpy(), horizon=1)
    usable = np.isfinite(floor) & (floor > 0) & np.isfinite(rows["ewma"].to_numpy())
    rows, floor = rows[usable], floor[usable]
    columns: Mapping[str, Floats] = {name: rows[name].to_numpy() for name in MEASURES}
    return Prepared(recipe.design(columns, rows["minute"].to_numpy()), floor, rows)


def training_step(rows: pd.DataFrame, is_training: np.ndarray) -> float:
    """The smallest price step of the training days; NaN when none was seen."""
    steps = rows["step"].to_numpy()[is_training]
    return float(np.nanmin(steps)) if np.isfinite(steps).any() else float("nan")


def fit_pool(rows: pd.DataFrame, *, horizon: int, folds: Sequence[Fold]) -> pd.DataFrame:
    """Weights of the pooled models of each fold: `fold` and the columns of `recipe.Weights`.

    `rows` are inputs of all symbols, with `source` and `symbol`.
    """
    minute = rows["minute"].to_numpy()
    found = [
        (number, *(getattr(one, name) for name in recipe.Weights.__slots__))
        for number, fold in enumerate(folds)
        for one in fit_all(rows[fold.is_training(minute, horizon=horizon)], horizon=horizon)
    ]
    return pd.DataFrame(found, columns=["fold", *recipe.Weights.__slots__])


def fit_all(training: pd.DataFrame, *, horizon: int) -> list[recipe.Weights]:
    """The pooled models, fitted on rows of all symbols; none when there are too few rows."""
    there = np.isfinite(training[[label(horizon), outcome(horizon)]].to_numpy()).all(axis=1)
    training = training[there]
    step = training.groupby(["source", "symbol"])["step"].transform("min").to_numpy(np.float64)
    seen = prepare(training, step)
    if len(seen.rows) < recipe.FEWEST_ROWS:
        return []
    return weighed(seen, recipe.fit_pooled(seen.x, realised(seen, horizon)), horizon=horizon)


def realised(seen: Prepared, horizon: int) -> Floats:
    """What came, as variance a minute, floored."""
    came: Floats = seen.rows[label(horizon)].to_numpy() / horizon
    return np.maximum(came, seen.floor)


def weighed(seen: Prepared, models: Mapping[str, Floats], *, horizon: int) -> list[recipe.Weights]:
    """Each model with the band that its own forecasts of the training rows ask for."""
    returns = seen.rows[outcome(horizon)].to_numpy()
    logs = np.log(realised(seen, horizon))
    found = []
    for model, values in models.items():
        forecast = recipe.predict(seen.x, values, seen.floor, horizon=horizon)
        band = recipe.band_width(returns, forecast)
        spread = float(np.var(logs - seen.x @ values))
        found.append(recipe.Weights(model, tuple(values.tolist()), band, len(logs), spread))
    return found


Pool = Mapping[int, Mapping[str, recipe.Weights]]


def forecast_symbol(
    rows: pd.DataFrame, *, horizon: int, folds: Sequence[Fold], pool: Pool
) -> pd.DataFrame:
    """Losses of every model at every origin of one symbol that all models can speak of.

    A column a model and loss (`ewma_qlike`), with `minute`, `regime`, `is_pooled`, `unmoved`.
    """
    rows = rows.sort_values("minute")
    minute = rows["minute"].to_numpy()
    parts = []
    for number, fold in enumerate(folds):
        if number not in pool:
            continue
        is_training = fold.is_training(minute, horizon=horizon)
        step = training_step(rows, is_training)
        test = scored_rows(rows[fold.is_test(minute)], horizon=horizon)
        seen = prepare(test, np.full(len(test), step))
        if len(seen.rows) == 0:
            continue
        models, is_pooled = own_weights(rows[is_training], step, horizon=horizon, pool=pool[number])
        part = losses(seen, models, horizon=horizon)
        part["is_pooled"] = is_pooled
        part["regime"] = regimes(seen, rows[is_training])
        parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else losses_frame()


def scored_rows(rows: pd.DataFrame, *, horizon: int) -> pd.DataFrame:
    """Origins whose label is there and that persistence and the averages can speak of."""
    needed = [label(horizon), outcome(horizon), f"variance_{horizon}m", recipe.EWMA_45M]
    there: pd.DataFrame = rows[np.isfinite(rows[needed].to_numpy()).all(axis=1)]
    return there


def own_weights(
    training: pd.DataFrame, step: float, *, horizon: int, pool: Mapping[str, recipe.Weights]
) -> tuple[dict[str, recipe.Weights], bool]:
    """The pool's models with the symbol's own; pooled throughout when it has too few rows."""
    there = np.isfinite(training[[label(horizon), outcome(horizon)]].to_numpy()).all(axis=1)
    training = training[there]
    seen = prepare(training, np.full(len(training), step))
    models = dict(pool)
    if len(seen.rows) < recipe.FEWEST_ROWS:
        har = pool[recipe.HAR_POOLED]
        for name in (recipe.HAR_SYMBOL, recipe.HAR_SYMBOL_LOG):
            models[name] = replace(har, model=name)
        return models, True
    own = recipe.fit_symbol(seen.x, realised(seen, horizon))
    return models | {one.model: one for one in weighed(seen, own, horizon=horizon)}, False


def losses(seen: Prepared, models: Mapping[str, recipe.Weights], *, horizon: int) -> pd.DataFrame:
    """One row an origin with each model's losses; `inside` is 1 where the band held the return."""
    rows = seen.rows
    floor = seen.floor * horizon
    came = realised(seen, horizon) * horizon
    returns = rows[outcome(horizon)].to_numpy()
    columns: dict[str, object] = {
        "minute": rows["minute"].to_numpy(),
        "unmoved": rows["unmoved"].to_numpy(),
    }
    for model in recipe.MODELS:
        forecast = np.maximum(variances(model, seen, models, horizon=horizon), floor)
        band = models[model].band if model in models else recipe.NORMAL_95
        half = band * np.sqrt(forecast)
        columns[f"{model}_qlike"] = qlike(came, forecast)
        columns[f"{model}_log_error"] = squared_log_error(came, forecast)
        columns[f"{model}_pinball"] = band_loss(returns, -half, np.zeros(len(half)), half)
        columns[f"{model}_inside"] = (np.abs(returns) <= half).astype(np.float64)
    return pd.DataFrame(columns)


def variances(
    model: str, seen: Prepared, models: Mapping[str, recipe.Weights], *, horizon: int
) -> Floats:
    """Forecast variance over the horizon of one model at each row."""
    if model in recipe.FORMULAS:
        name = f"variance_{horizon}m" if model == recipe.PERSISTENCE else model
        said: Floats = seen.rows[name].to_numpy(np.float64) * horizon
        return said
    return recipe.predict(seen.x, models[model].as_array(), seen.floor, horizon=horizon)


def regimes(seen: Prepared, training: pd.DataFrame) -> list[str]:
    """Calm, usual or wild: a day's variance by the thirds that the symbol's training days had."""
    past = training["variance_24h"].to_numpy()
    past = past[np.isfinite(past)]
    now = seen.rows["variance_24h"].to_numpy()
    if len(past) == 0:
        return ["usual"] * len(now)
    lower, upper = np.quantile(past, [1 / 3, 2 / 3])
    return [REGIMES[0 if v < lower else 2 if v > upper else 1] for v in now]


def loss_columns() -> tuple[str, ...]:
    return tuple(f"{model}_{loss}" for model in recipe.MODELS for loss in LOSSES)


def losses_frame() -> pd.DataFrame:
    """No rows, with the columns of `forecast_symbol`."""
    return pd.DataFrame(columns=["minute", "unmoved", *loss_columns(), "is_pooled", "regime"])
