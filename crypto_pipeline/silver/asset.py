"""Each fact once, as Dagster assets."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from crypto_pipeline.resources.lake import LakeResource
from crypto_pipeline.resources.specs import LAKE_POOL, books_check, stage_specs
from crypto_pipeline.stages import SILVER


@dg.multi_asset(
    name="silver_stage",
    specs=stage_specs(SILVER),
    check_specs=[books_check(SILVER)],
    pool=LAKE_POOL,
)
def silver_stage(lake: LakeResource) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    yield from lake.materialize(SILVER)
