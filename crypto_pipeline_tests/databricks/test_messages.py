"""What a task tells arrives as it was, over JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from crypto_pipeline.databricks import messages, task
from crypto_pipeline.errors import SchemaDriftError
from crypto_pipeline.predictions.har import Fit
from crypto_pipeline.predictions.training import Training
from crypto_pipeline.stage_run import StageRun
from crypto_pipeline_tests.databricks.told import RUN

FITTED = Training(
    fits=(
        Fit(
            horizon_minutes=5,
            intercept=-0.25,
            weights=(0.5, 0.25, 0.125),
            residual_variance=0.1,
            rows=1234,
            trained_from=datetime(2026, 11, 11, tzinfo=UTC),
            trained_through=datetime(2026, 11, 25, 22, tzinfo=UTC),
        ),
    ),
    model_version="2026-11-25T22:00:00Z",
    reason="fitted",
)


def sent(message: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(message))
    return found


def test_a_run_and_a_training_arrive_as_they_were() -> None:
    told = [sent(messages.done("silver", RUN)), sent(messages.done("training", FITTED))]
    assert messages.run_of(told, "silver") == RUN
    assert messages.training_of(told, "training") == FITTED
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
