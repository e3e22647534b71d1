"""Who serves: the challenger that beat the baselines beyond chance, else the best baseline.

What is compared was forecast before it came: each origin's loss is that of the fit of its own
hour, so the scores of the last days are a walk forward with a refit every few hours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from crypto_pipeline.predictions.inputs import ORIGIN_STEP
from crypto_pipeline.predictions.recipe import CHALLENGER, EWMA, LIVE_BASELINES
from crypto_pipeline.predictions.significance import (
    Comparison,
    diebold_mariano,
    newey_west_lag,
)

# Before any score, the formula that is hard to beat at every horizon.
FIRST_BASELINE = EWMA
SIGNIFICANT = 0.05
WINDOW = timedelta(days=3)
# A day of origins, five minutes apart: fewer say too little of a horizon of an hour.
FEWEST_ORIGINS = 288
# What is fitted on data that ended so long before the origin is not served.
GREATEST_AGE = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The decision on one horizon; `champion` is None when the challenger has not won."""

    horizon_minutes: int
    champion: str | None
    baseline: str
    reason: str
    origins: int
    qlike: float | None
    baseline_qlike: float | None
    dm_statistic: float | None
    p_value: float | None

    @property
    def served(self) -> str:
        return self.champion or self.baseline


def judge(scores: pd.DataFrame, *, horizon: int) -> Verdict:
    """Promote the challenger for a lower mean QLIKE and p < 0.05 against the best baseline.

    `scores` are rows of predictions/scores of the window. Origins at which one of them did not
    speak are left out.
    """
    table = by_model(scores, horizon=horizon)
    baselines = [name for name in LIVE_BASELINES if name in table]
    if CHALLENGER not in table or not baselines:
        return _early(horizon, 0)
    both = table[[CHALLENGER, *baselines]].dropna()
    if len(both) < FEWEST_ORIGINS:
        return _early(horizon, len(both))
    baseline = str(both[baselines].mean().idxmin())
    test = compare(both, CHALLENGER, baseline, horizon=horizon)
    own, other = float(both[CHALLENGER].mean()), float(both[baseline].mean())
    has_won = own < other and test.p_value < SIGNIFICANT
    verb = "beats" if has_won else "does not beat"
    return Verdict(
        horizon_minutes=horizon,
        champion=CHALLENGER if has_won else None,
        baseline=baseline,
        reason=f"{CHALLENGER} {verb} {baseline}{'' if has_won else ' beyond chance'}: QLIKE "
        f"{own:.4f} against {other:.4f}, p = {test.p_value:.2g}, {len(both)} origins.",
        origins=len(both),
        qlike=own,
        baseline_qlike=other,
        dm_statistic=finite(test.statistic),
        p_value=finite(test.p_value),
    )


def by_model(scores: pd.DataFrame, *, horizon: int) -> pd.DataFrame:
    """Mean QLIKE of each origin, a column a model, in order of time."""
    rows = scores[scores["horizon_minutes"] == horizon]
    return rows.pivot_table(index="origin_at", columns="model", values="qlike").sort_index()


def compare(table: pd.DataFrame, first: str, second: str, *, horizon: int) -> Comparison:
    """Diebold-Mariano on the difference of two columns of `by_model`."""
    difference = (table[first] - table[second]).dropna().to_numpy(np.float64)
    ahead = math.ceil(horizon / ORIGIN_STEP)
    lag = newey_west_lag(max(len(difference), 1), ahead=ahead)
    return diebold_mariano(difference, ahead=ahead, lag=lag)


def finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _early(horizon: int, origins: int) -> Verdict:
    return Verdict(
        horizon_minutes=horizon,
        champion=None,
        baseline=FIRST_BASELINE,
        reason=f"{CHALLENGER} has {origins} scored origins of the {FEWEST_ORIGINS} that the gate "
        f"asks for; {FIRST_BASELINE} serves until then.",
        origins=origins,
        qlike=None,
        baseline_qlike=None,
        dm_statistic=None,
        p_value=None,
    )
