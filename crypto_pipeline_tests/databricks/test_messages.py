"""What a task tells arrives as it was, over JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from crypto_pipeline.databricks import messages, task
from crypto_pipeline.errors import SchemaDriftError
from crypto_pipeline.predictions.fit import Fit
from crypto_pipeline.predictions.live import Scoring
from crypto_pipeline.predictions.recipe import TERMS
from crypto_pipeline.predictions.training import Training
from crypto_pipeline.stage_run import StageRun
from crypto_pipeline_tests.databricks.told import RUN

FITTED = Training(
    fits=(
        Fit(
            model="blend",
            horizon_minutes=5,
            weights=tuple(0.125 * n for n in range(len(TERMS))),
            band=1.75,
            residual_variance=0.1,
            rows=1234,
            trained_from=datetime(2026, 11, 11, tzinfo=UTC),
            trained_through=datetime(2026, 11, 25, 22, tzinfo=UTC),
        ),
    ),
    model_version="2026-11-25T22:00:00Z",
    reason="fitted",
    input_version=9,
    market_now=datetime(2026, 11, 25, 22, 4, tzinfo=UTC),
)
SCORED = Scoring(rows=3, horizons=[], reason="scored")


def sent(message: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(message))
    return found


def test_a_run_a_training_and_a_scoring_arrive_as_they_were() -> None:
    results = {"silver": RUN, "training": FITTED, "scores": SCORED}
    told = [sent(messages.done(step, result)) for step, result in results.items()]
    assert messages.run_of(told, "silver") == RUN
    assert messages.training_of(told, "training") == FITTED
    assert messages.scoring_of(told, "scores") == SCORED
    assert messages.run_of(told, "gold") is None
    assert messages.run_of(told, "training") is None
    assert messages.error_of(told) is None


def test_the_steps_before_a_failed_one_are_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_step(_: object, step: str) -> StageRun:
        if step == "volatility":
            raise SchemaDriftError("A column is gone.")
        return RUN

    monkeypatch.setattr(task, "run_step", run_step)
    told: list[dict[str, Any]] = []
    asked = task.parse(["--steps=gold", "--lake-root=s3://b/lake", "--market=live"])
    with pytest.raises(SchemaDriftError):
        task.run_steps(asked, None, report=told.append)  # type: ignore[arg-type]
    assert [message["step"] for message in told] == ["candles", "volatility"]
    assert messages.error_of(told) == {
        "step": "volatility",
        "error": "SchemaDriftError",
        "sentence": "A column is gone.",
    }
