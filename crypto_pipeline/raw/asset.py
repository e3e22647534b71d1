"""Topics → raw, bytes untouched, as Dagster assets."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from crypto_pipeline.resources.lake import LakeResource
from crypto_pipeline.resources.specs import LAKE_POOL, books_check, lost_check, stage_specs
from crypto_pipeline.stages import RAW
from crypto_pipeline.stream.asset_names import INGESTED_ASSETS


@dg.multi_asset(
    name="raw_stage",
    specs=stage_specs(RAW, deps=[dg.AssetKey(["stream", name]) for name in INGESTED_ASSETS]),
    check_specs=[books_check(RAW), lost_check(RAW)],
    pool=LAKE_POOL,
)
def raw_stage(lake: LakeResource) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    yield from lake.materialize(RAW)
