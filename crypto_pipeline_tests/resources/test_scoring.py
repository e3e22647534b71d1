"""What a scoring shows in Dagster: who serves and why, and drift as a check."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from crypto_pipeline.predictions.live import Scoring
from crypto_pipeline.resources.scoring import scoring_results


def horizon(minutes: int, drift: str) -> dict[str, Any]:
    return {
        "horizon_minutes": minutes,
        "served": "ewma",
        "reason": "early",
        "drift": drift,
        "drift_reason": f"{drift} at {minutes}",
    }


@pytest.mark.parametrize(
    ("drift", "passed"), [("none", True), ("unknown", True), ("drifting", False)]
)
def test_a_horizon_that_drifts_fails_the_check(drift: str, passed: bool) -> None:
    done = Scoring(9, [horizon(5, "none"), horizon(60, drift)], "scored")  # type: ignore[list-item]
    scores, gates, check = scoring_results(done)
    assert isinstance(scores, dg.MaterializeResult)
    assert isinstance(gates, dg.MaterializeResult)
    assert isinstance(check, dg.AssetCheckResult)
    assert gates.metadata is not None
    assert gates.metadata["served"] == {"5": "ewma", "60": "ewma"}
    assert check.passed is passed
    assert check.severity is dg.AssetCheckSeverity.WARN
