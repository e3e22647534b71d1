"""Predictions as Dagster assets: the fitted model, forecasts, scores, and their topics."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from crypto_pipeline.contract import topic
from crypto_pipeline.predictions.schema import GATES, MODELS, SCORES
from crypto_pipeline.resources.lake import LakeResource, asset_key, publication_metadata
from crypto_pipeline.resources.scoring import drift_check, scoring_results
from crypto_pipeline.resources.specs import (
    LAKE_POOL,
    books_check,
    publication_spec,
    stage_specs,
    table_spec,
)
from crypto_pipeline.stages import PREDICTIONS, VOLATILITY


@dg.multi_asset(
    name="training",
    specs=[table_spec(MODELS, deps=[asset_key(VOLATILITY.primary)], reads=(VOLATILITY.primary,))],
    pool=LAKE_POOL,
    op_tags={"dagster/priority": "2"},
)
def training(lake: LakeResource) -> dg.MaterializeResult[None]:
    done = lake.train()
    rows = {str(fit.horizon_minutes): fit.rows for fit in done.fits}
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(done.fits),
            "reason": done.reason,
            "model_version": done.model_version or "",
            "rows_by_horizon": rows,
        }
    )


@dg.multi_asset(
    name="predictions_stage",
    specs=stage_specs(PREDICTIONS, deps=[asset_key(MODELS)]),
    check_specs=[books_check(PREDICTIONS)],
    pool=LAKE_POOL,
    # The forecast is what the minute waits for: it goes before the summary.
    op_tags={"dagster/priority": "2"},
)
def predictions_stage(
    lake: LakeResource,
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    yield from lake.materialize(PREDICTIONS)


@dg.multi_asset(
    name="scores",
    specs=[
        table_spec(
            table,
            deps=[asset_key(PREDICTIONS.primary), asset_key(VOLATILITY.primary)],
            reads=(VOLATILITY.primary,),
        )
        for table in (SCORES, GATES)
    ],
    check_specs=[drift_check(SCORES)],
    pool=LAKE_POOL,
    # The minute does not wait for it: what is shown of this minute goes first.
    op_tags={"dagster/priority": "-1"},
)
def scores(lake: LakeResource) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    yield from scoring_results(lake.score())


@dg.multi_asset(
    name="publish_forecasts",
    specs=[
        publication_spec(
            "market_forecasts",
            topic=topic.FORECASTS.name,
            deps=[asset_key(PREDICTIONS.primary)],
            words="Forecasts whose horizon still lies ahead",
        )
    ],
    pool=LAKE_POOL,
)
def publish_forecasts(lake: LakeResource) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata=publication_metadata(lake.publish_forecasts()))


@dg.multi_asset(
    name="publish_status",
    specs=[
        publication_spec(
            "pipeline_status",
            topic=topic.STATUS.name,
            deps=[
                dg.AssetKey(["stream", "market_summary"]),
                dg.AssetKey(["stream", "market_forecasts"]),
                asset_key(SCORES),
            ],
            words="What each stage did last, as the dashboard reads it",
        )
    ],
    pool=LAKE_POOL,
)
def publish_status(lake: LakeResource) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata=publication_metadata(lake.publish_status()))
