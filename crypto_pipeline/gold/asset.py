"""Gold as Dagster assets: candles, volatility, the market now and its topic."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from crypto_pipeline.contract import topic
from crypto_pipeline.resources.lake import LakeResource, asset_key, publication_metadata
from crypto_pipeline.resources.specs import LAKE_POOL, books_check, publication_spec, stage_specs
from crypto_pipeline.stages import CANDLES, SUMMARY, VOLATILITY

Results = Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]


@dg.multi_asset(
    name="candles_stage",
    specs=stage_specs(CANDLES),
    check_specs=[books_check(CANDLES)],
    pool=LAKE_POOL,
)
def candles_stage(lake: LakeResource) -> Results:
    yield from lake.materialize(CANDLES)


@dg.multi_asset(
    name="volatility_stage",
    specs=stage_specs(VOLATILITY),
    check_specs=[books_check(VOLATILITY)],
    pool=LAKE_POOL,
)
def volatility_stage(lake: LakeResource) -> Results:
    yield from lake.materialize(VOLATILITY)


@dg.multi_asset(
    name="summary_stage",
    specs=stage_specs(SUMMARY),
    check_specs=[books_check(SUMMARY)],
    pool=LAKE_POOL,
)
def summary_stage(lake: LakeResource) -> Results:
    yield from lake.materialize(SUMMARY)


@dg.multi_asset(
    name="publish_summary",
    specs=[
        publication_spec(
            "market_summary",
            topic=topic.SUMMARY.name,
            deps=[asset_key(SUMMARY.primary)],
            words="The market now, as the dashboard reads it",
        )
    ],
    pool=LAKE_POOL,
)
def publish_summary(lake: LakeResource) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata=publication_metadata(lake.publish_summary()))
