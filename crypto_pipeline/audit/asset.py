"""The audit of a day as Dagster sees it: a partition is a day by the broker's time, UTC."""

# No postponed annotations: Dagster reads the class of `context`.
from collections.abc import Iterator

import dagster as dg

from crypto_pipeline.backfill.asset import WHOLE_DAYS
from crypto_pipeline.resources.day_work import NO_DIFFERENCE, DayWork
from crypto_pipeline.resources.lake import asset_key
from crypto_pipeline.resources.specs import BACKGROUND_POOL, OWNERS
from crypto_pipeline.stages import STAGES

AUDIT_DAY = dg.AssetKey(["audit", "audit_day"])


@dg.asset(
    key=AUDIT_DAY,
    group_name="audit",
    kinds={"delta", "spark"},
    owners=OWNERS,
    partitions_def=WHOLE_DAYS,
    pool=BACKGROUND_POOL,
    deps=[asset_key(table) for stage in STAGES for table in stage.outputs],
    check_specs=[
        dg.AssetCheckSpec(
            name=NO_DIFFERENCE,
            asset=AUDIT_DAY,
            description="Books recounted, every layer equal to what the one before it makes",
        )
    ],
    description="A day's books recounted from the tables, layer by layer",
)
def audit_day(
    context: dg.AssetExecutionContext, day_work: DayWork
) -> Iterator[dg.MaterializeResult[None]]:
    yield day_work.audit(context.partition_key)
