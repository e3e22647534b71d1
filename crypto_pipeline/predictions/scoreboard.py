"""Losses of origins → the table that says how good each model is, and whether by chance."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from crypto_pipeline.predictions import recipe
from crypto_pipeline.predictions.inputs import ORIGIN_STEP
from crypto_pipeline.predictions.significance import (
    Comparison,
    diebold_mariano,
    newey_west_lag,
)

ALL = "all"
# Chosen before any result was seen: below it a difference is not taken for chance.
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One model over one group of origins. Pinball is in units of return, the rest pure numbers.

    The tests compare this model's QLIKE with `baseline`'s, averaged over symbols at each origin;
    a statistic below zero speaks for this model.
    """

    horizon_minutes: int
    group: str
    model: str
    origins: int
    qlike: float
    median_qlike: float
    mse_log: float
    pinball: float
    coverage: float
    baseline: str
    dm_statistic: float
    p_value: float
    dm_lag: int


def groups(losses: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    """All origins; thin pairs and the others; each regime; each symbol."""
    yield ALL, losses
    is_thin = losses["unmoved"].to_numpy() > recipe.THIN_SHARE
    by_symbol = losses.assign(is_thin=is_thin).groupby(["source", "symbol"])["is_thin"]
    thin_symbol = by_symbol.transform("mean").to_numpy() > 0.5
    yield "liquid", losses[~thin_symbol]
    yield "thin", losses[thin_symbol]
    for regime, part in losses.groupby("regime"):
        yield f"regime:{regime}", part
    for (source, symbol), part in losses.groupby(["source", "symbol"]):
        yield f"symbol:{source}:{symbol}", part


def score(losses: pd.DataFrame, *, horizon: int) -> list[Score]:
    """Every model in every group that has origins."""
    rows: list[Score] = []
    for group, part in groups(losses):
        if len(part) == 0:
            continue
        baseline = best(part, recipe.BASELINES)
        rows += [_one(part, group, model, baseline, horizon) for model in recipe.MODELS]
    return rows


def best(losses: pd.DataFrame, models: Iterable[str]) -> str:
    """The model of lowest mean QLIKE."""
    return min(models, key=lambda model: float(losses[f"{model}_qlike"].mean()))


def compare(losses: pd.DataFrame, first: str, second: str, *, horizon: int) -> Comparison:
    """Diebold-Mariano on the QLIKE difference averaged over symbols at each origin."""
    difference = losses[f"{first}_qlike"] - losses[f"{second}_qlike"]
    series = difference.groupby(losses["minute"]).mean().sort_index().to_numpy(np.float64)
    ahead = max(1, math.ceil(horizon / ORIGIN_STEP))
    return diebold_mariano(series, ahead=ahead, lag=newey_west_lag(len(series), ahead=ahead))


def _one(part: pd.DataFrame, group: str, model: str, baseline: str, horizon: int) -> Score:
    test = (
        Comparison(math.nan, math.nan, 0, 0)
        if model == baseline
        else compare(part, model, baseline, horizon=horizon)
    )
    return Score(
        horizon_minutes=horizon,
        group=group,
        model=model,
        origins=len(part),
        qlike=float(part[f"{model}_qlike"].mean()),
        median_qlike=float(part[f"{model}_qlike"].median()),
        mse_log=float(part[f"{model}_log_error"].mean()),
        pinball=float(part[f"{model}_pinball"].mean()),
        coverage=float(part[f"{model}_inside"].mean()),
        baseline=baseline,
        dm_statistic=test.statistic,
        p_value=test.p_value,
        dm_lag=test.lag,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Who serves a horizon: the challenger if it beat the best baseline beyond chance."""

    horizon_minutes: int
    served: str
    baseline: str
    is_promoted: bool
    reason: str


def judge(losses: pd.DataFrame, *, horizon: int) -> Verdict:
    """The gate of the minute cycle, over all origins: the challenger serves only for a lower mean
    QLIKE and p < 0.05 against the best of the baselines that the cycle has.
    """
    baseline = best(losses, recipe.LIVE_BASELINES)
    test = compare(losses, recipe.CHALLENGER, baseline, horizon=horizon)
    own = float(losses[f"{recipe.CHALLENGER}_qlike"].mean())
    other = float(losses[f"{baseline}_qlike"].mean())
    has_won = own < other and test.p_value < SIGNIFICANT
    verb = "beats" if has_won else "does not beat"
    return Verdict(
        horizon_minutes=horizon,
        served=recipe.CHALLENGER if has_won else baseline,
        baseline=baseline,
        is_promoted=has_won,
        reason=f"{recipe.CHALLENGER} {verb} {baseline}{'' if has_won else ' beyond chance'}: QLIKE "
        f"{own:.4f} against {other:.4f}, p = {test.p_value:.3g}.",
    )


def frame(scores: Iterable[Score]) -> pd.DataFrame:
    return pd.DataFrame([asdict(score) for score in scores])
