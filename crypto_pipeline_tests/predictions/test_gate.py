"""Who may serve, and what the screen is told of it: by the losses of each origin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import jsonschema
import numpy as np
import pandas as pd
import pytest

from crypto_pipeline.contract import json_schema
from crypto_pipeline.contract.report import HorizonReport
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.predictions import board, gate, live
from crypto_pipeline.predictions.gate import FEWEST_ORIGINS
from crypto_pipeline.predictions.recipe import CHALLENGER
from crypto_pipeline.predictions.significance import diebold_mariano, newey_west_lag

NOW = datetime(2026, 11, 23, 10, 5, tzinfo=UTC)


def scores(n: int, *, horizon: int = 5, **levels: float | np.ndarray) -> pd.DataFrame:
    """The newest n origins: each model's QLIKE is its level and noise of its own."""
    random = np.random.default_rng(n)
    at = [NOW - timedelta(minutes=5 * (n - k)) for k in range(n)]
    parts = []
    for model, level in levels.items():
        loss = level + random.normal(0, 0.05, n)
        columns = {"qlike": loss, "median_qlike": loss / 2, "mse_log": 1.0, "pinball": 1e-4}
        parts.append(pd.DataFrame({"origin_at": pd.to_datetime(at), "model": model, **columns}))
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(
        horizon_minutes=horizon, model_version="1", forecasts=4, served=0, coverage=0.9
    )


def told(frame: pd.DataFrame, *, age: timedelta | None = timedelta(hours=2)) -> HorizonReport:
    verdict = gate.judge(frame, horizon=5)
    through = None if age is None else NOW - age
    one = board.report(frame, verdict, market_now=NOW, model_version="v", trained_through=through)
    jsonschema.validate([one], json_schema.horizons_schema())
    return one


@pytest.mark.parametrize("horizon", [5, 15, 60])
def test_a_fit_that_is_better_beyond_chance_wins(horizon: int) -> None:
    frame = scores(400, horizon=horizon, blend_pooled=0.5, ewma=0.6, persistence=3.0)
    verdict = gate.judge(frame, horizon=horizon)
    assert (verdict.champion, verdict.served, verdict.baseline) == (CHALLENGER, CHALLENGER, "ewma")
    table = gate.by_model(frame, horizon=horizon)
    ahead = horizon // 5
    expected = diebold_mariano(
        (table[CHALLENGER] - table["ewma"]).to_numpy(),
        ahead=ahead,
        lag=newey_west_lag(400, ahead=ahead),
    )
    assert verdict.p_value == pytest.approx(expected.p_value)
    assert verdict.dm_statistic == pytest.approx(expected.statistic)
    assert expected.statistic < 0


@pytest.mark.parametrize(
    ("own", "baseline"), [(0.5999, "ewma"), (0.9, "ewma"), (0.6, "persistence")]
)
def test_else_the_better_formula_serves_and_says_why(own: float, baseline: str) -> None:
    other = 0.4 if baseline == "persistence" else 3.0
    verdict = gate.judge(scores(400, blend_pooled=own, ewma=0.6, persistence=other), horizon=5)
    assert (verdict.champion, verdict.served) == (None, baseline)
    assert f"does not beat {baseline} beyond chance" in verdict.reason


def test_a_short_record_promotes_nobody() -> None:
    few = scores(FEWEST_ORIGINS - 1, blend_pooled=0.1, ewma=0.6, persistence=3.0)
    verdict = gate.judge(few, horizon=5)
    assert (verdict.champion, verdict.served) == (None, "ewma")
    assert f"{FEWEST_ORIGINS - 1} scored origins of the {FEWEST_ORIGINS}" in verdict.reason
    assert gate.judge(few.iloc[:0], horizon=5).served == "ewma"
    assert gate.judge(few, horizon=60).origins == 0
    assert told(live.joined(nothing(), nothing()))["scores"] == []


def nothing() -> pd.DataFrame:
    """No row, as collected from Spark: columns without types."""
    empty = pd.DataFrame([], columns=scores(1, ewma=0.5).columns)
    empty["origin_at"] = pd.to_datetime(empty["origin_at"].astype("int64"), unit="us", utc=True)
    return empty


def test_the_report_says_who_serves_since_when_and_how_well() -> None:
    one = told(scores(400, blend_pooled=0.5, ewma=0.6, persistence=3.0))
    assert (one["served"], one["champion"], one["model_version"]) == (CHALLENGER, CHALLENGER, "v")
    assert [s["model"] for s in one["scores"]] == [CHALLENGER, "ewma", "persistence"]
    assert one["scores"][0]["origins"] == 1600
    assert one["scores"][1]["p_value"] is None
    assert one["live"][0]["origins"] == 4 * 287
    assert one["live_from"] == "2026-11-22T10:10:00.000000Z"
    assert one["drift"] == "none"
    young = told(scores(5, ewma=0.6, persistence=3.0))
    assert (young["served"], young["champion"], young["drift"]) == ("ewma", None, "unknown")


@pytest.mark.parametrize(("age", "words"), [(timedelta(hours=25), "ends at"), (None, "no fit")])
def test_a_champion_without_a_fresh_fit_gives_no_forecast_and_a_reason(
    age: timedelta | None, words: str
) -> None:
    one = told(scores(400, blend_pooled=0.5, ewma=0.6, persistence=3.0), age=age)
    assert (one["served"], one["model_version"], one["champion"]) == (None, None, CHALLENGER)
    assert one["reason"].startswith("No forecast: ")
    assert words in one["reason"]


def test_a_champion_that_a_formula_beats_for_a_day_is_drifting() -> None:
    level = np.concatenate([np.full(560, 0.3), np.full(300, 0.8)])
    one = told(scores(860, blend_pooled=level, ewma=0.6, persistence=3.0))
    assert (one["champion"], one["drift"]) == (CHALLENGER, "drifting")
    assert "of ewma" in one["drift_reason"]


def last(through: datetime) -> CommitRecord:
    return CommitRecord(
        stage="scores", batch=1, write_id="w", ranges={"scored_through": through.isoformat()},
        counts={}, outputs={}, code_version="1",
    )  # fmt: skip


def test_outcomes_are_taken_once_in_whole_fives_and_in_bites() -> None:
    target = datetime(2026, 11, 23, 10, 4, tzinfo=UTC)
    five, minute = timedelta(minutes=5), timedelta(minutes=1)
    assert live.next_span(None, NOW) == (target - live.BITE, target)
    assert live.next_span(last(target), NOW + 4 * minute) is None
    assert live.next_span(last(target), NOW + five) == (target, target + five)
    behind = target - timedelta(hours=20)
    assert live.next_span(last(behind), NOW) == (behind, behind + live.BITE)
    # Out of the gate's window: the newest bite.
    assert live.next_span(last(target - timedelta(days=18)), NOW) == (target - live.BITE, target)
    # A cycle that brought late minutes only.
    assert live.next_span(last(target + timedelta(days=1)), NOW) is None
