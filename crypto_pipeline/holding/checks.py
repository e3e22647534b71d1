"""That gold takes from every source, as a check on its first table."""

from __future__ import annotations

import dagster as dg

from crypto_pipeline.gold.schema import CANDLES_1M
from crypto_pipeline.resources.lake import LakeResource, asset_key


@dg.asset_check(
    asset=asset_key(CANDLES_1M),
    name="no_source_is_held",
    description="No source has so many rejected rows that gold takes nothing of it",
)
def no_source_is_held(lake: LakeResource) -> dg.AssetCheckResult:
    held = lake.held()
    return dg.AssetCheckResult(
        passed=not held,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Held back, see `crypto-pipeline release`: {', '.join(held) or 'none'}",
        metadata={"held_since_batch": dg.MetadataValue.json(held)},
    )
