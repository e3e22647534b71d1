"""The scoreboard as the screen reads it: a report a horizon, of scores by origin."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import pandas as pd

from crypto_pipeline.contract.message import format_time
from crypto_pipeline.contract.report import HorizonReport, ModelScore
from crypto_pipeline.predictions.gate import (
    GREATEST_AGE,
    SIGNIFICANT,
    Verdict,
    by_model,
    compare,
    finite,
)
from crypto_pipeline.predictions.recipe import LIVE_BASELINES, LIVE_FORMULAS

LIVE = timedelta(hours=24)
MEANS = ("qlike", "mse_log", "pinball", "coverage")


def report(
    scores: pd.DataFrame,
    verdict: Verdict,
    *,
    market_now: datetime,
    model_version: str | None,
    trained_through: datetime | None,
) -> HorizonReport:
    """Who serves a horizon, why, and how all models fared over the gate's window and a day.

    `scores` are rows of the window with `origin_at` in UTC; times of the report are origins'.
    """
    horizon = verdict.horizon_minutes
    own = scores[scores["horizon_minutes"] == horizon]
    live = own[own["origin_at"] > pd.Timestamp(market_now - LIVE)]
    refusal = stale(verdict, market_now=market_now, trained_through=trained_through)
    is_fitted = verdict.served not in LIVE_FORMULAS and refusal is None
    drift, words = drift_of(live, verdict)
    return {
        "horizon_minutes": horizon,
        "served": None if refusal else verdict.served,
        "model_version": model_version if is_fitted else None,
        "champion": verdict.champion,
        "baseline": verdict.baseline,
        "reason": refusal or verdict.reason,
        "trained_through": None if trained_through is None else format_time(trained_through),
        "window_from": _edge(own, "min"),
        "window_through": _edge(own, "max"),
        "scores": model_scores(own, verdict),
        "live_from": _edge(live, "min"),
        "live_through": _edge(live, "max"),
        "live": model_scores(live, verdict),
        "drift": drift,
        "drift_reason": words,
    }


def stale(
    verdict: Verdict, *, market_now: datetime, trained_through: datetime | None
) -> str | None:
    """Why the chosen model may not speak: no fit, or one too old. None when it may."""
    if verdict.served in LIVE_FORMULAS:
        return None
    if trained_through is None:
        return f"No forecast: {verdict.served} won its gate and there is no fit of it."
    if market_now - trained_through > GREATEST_AGE:
        return (
            f"No forecast: the fit of {verdict.served} ends at {format_time(trained_through)}, "
            f"more than {GREATEST_AGE.total_seconds() / 3600:.0f} hours ago."
        )
    return None


def model_scores(rows: pd.DataFrame, verdict: Verdict) -> list[ModelScore]:
    """Each model's losses, the least QLIKE first; weighted by the forecasts of each origin.

    The median is of the origins' medians: single forecasts are not kept.
    """
    table = by_model(rows, horizon=verdict.horizon_minutes)
    found = [_score(str(model), part, table, verdict) for model, part in rows.groupby("model")]
    return sorted(found, key=lambda one: one["qlike"] or 0.0)


def _score(model: str, part: pd.DataFrame, table: pd.DataFrame, verdict: Verdict) -> ModelScore:
    weights = part["forecasts"].to_numpy(np.float64)
    means = {name: finite(np.average(part[name], weights=weights)) for name in MEANS}
    is_compared = model != verdict.baseline and verdict.baseline in table
    test = (
        compare(table, model, verdict.baseline, horizon=verdict.horizon_minutes)
        if is_compared
        else None
    )
    return {
        "model": model,
        "origins": int(weights.sum()),
        "qlike": means["qlike"],
        "median_qlike": finite(part["median_qlike"].median()),
        "mse_log": means["mse_log"],
        "pinball": means["pinball"],
        "coverage": means["coverage"],
        "dm_statistic": None if test is None else finite(test.statistic),
        "p_value": None if test is None else finite(test.p_value),
    }


def drift_of(
    live: pd.DataFrame, verdict: Verdict
) -> tuple[Literal["none", "drifting", "unknown"], str]:
    """Drifting: over the last day a baseline beat the fitted model that serves, beyond chance."""
    own_name = verdict.served
    if own_name in LIVE_FORMULAS:
        return "unknown", "A formula serves: nothing is fitted that could drift."
    table = by_model(live, horizon=verdict.horizon_minutes)
    rivals = [name for name in LIVE_BASELINES if name in table and name != own_name]
    if own_name not in table or not rivals:
        return "unknown", "No forecast of the last day has come true yet."
    rival = str(table[rivals].mean().idxmin())
    test = compare(table, own_name, rival, horizon=verdict.horizon_minutes)
    if finite(test.p_value) is None:
        return "unknown", f"{test.origins} origins of the last day are too few."
    own, other = (float(table[name].mean()) for name in (own_name, rival))
    words = (
        f"Last day's QLIKE {own:.4f} of {own_name} against {other:.4f} of {rival}, "
        f"p = {test.p_value:.2g}."
    )
    is_worse = test.statistic > 0 and test.p_value < SIGNIFICANT
    return ("drifting" if is_worse else "none"), words


def _edge(rows: pd.DataFrame, side: Literal["min", "max"]) -> str | None:
    if len(rows) == 0:
        return None
    moment: Any = getattr(rows["origin_at"], side)()
    return format_time(moment.to_pydatetime())
