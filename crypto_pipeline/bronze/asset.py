"""Bytes → typed rows, and rejected rows with a reason, as Dagster assets."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from crypto_pipeline.resources.lake import LakeResource
from crypto_pipeline.resources.specs import LAKE_POOL, books_check, stage_specs
from crypto_pipeline.stages import BRONZE


@dg.multi_asset(
    name="bronze_stage",
    specs=stage_specs(BRONZE),
    check_specs=[books_check(BRONZE)],
    pool=LAKE_POOL,
)
def bronze_stage(lake: LakeResource) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    yield from lake.materialize(BRONZE)
