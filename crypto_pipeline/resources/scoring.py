"""Drift as an asset check: a baseline that beats what is served, beyond chance."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from crypto_pipeline.lake.table import Table
from crypto_pipeline.predictions.live import Scoring
from crypto_pipeline.predictions.schema import GATES, SCORES
from crypto_pipeline.resources.lake import asset_key

DRIFT_CHECK = "no_drift"


def drift_check(table: Table) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name=DRIFT_CHECK,
        asset=asset_key(table),
        description="Over the last day no baseline beats the served model beyond chance",
    )


def scoring_results(done: Scoring) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """What a scoring shows: rows, who serves each horizon and why, and the drift check."""
    served = {str(one["horizon_minutes"]): one["served"] or "none" for one in done.horizons}
    reasons = {str(one["horizon_minutes"]): one["reason"] for one in done.horizons}
    drift = {str(one["horizon_minutes"]): one["drift_reason"] for one in done.horizons}
    yield dg.MaterializeResult(
        asset_key=asset_key(SCORES),
        metadata={"dagster/row_count": done.rows, "reason": done.reason},
    )
    yield dg.MaterializeResult(
        asset_key=asset_key(GATES), metadata={"served": served, "reasons": reasons}
    )
    yield dg.AssetCheckResult(
        asset_key=asset_key(SCORES),
        check_name=DRIFT_CHECK,
        passed=all(one["drift"] != "drifting" for one in done.horizons),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"drift": drift},
    )
