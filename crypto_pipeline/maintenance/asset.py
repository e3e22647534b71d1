"""Upkeep of the lake as assets: each does what is due of its kind, and says what is left."""

# No postponed annotations: Dagster reads the class of `context`.

from collections.abc import Iterator

import dagster as dg

from crypto_pipeline.resources.history_upkeep import HistoryUpkeep
from crypto_pipeline.resources.lake import asset_key
from crypto_pipeline.resources.specs import LAKE_POOL, OWNERS
from crypto_pipeline.resources.upkeep import COUNTED, FILE_CHECKS, UpkeepResource
from crypto_pipeline.stages import TABLES

GROUP = "maintenance"
HISTORY = dg.AssetKey([GROUP, "dagster_history"])


def _spec(name: str, words: str, *, after: list[str]) -> dg.AssetSpec:
    return dg.AssetSpec(
        key=[GROUP, name],
        deps=[dg.AssetKey([GROUP, one]) for one in after] or [asset_key(t) for t in TABLES],
        description=words,
        group_name=GROUP,
        kinds={"delta", "spark"},
        owners=OWNERS,
    )


@dg.multi_asset(
    name="recommit",
    specs=[_spec("ranges", "Ranges committed anew before the log forgets them", after=[])],
    pool=LAKE_POOL,
)
def recommit(upkeep: UpkeepResource) -> dg.MaterializeResult[None]:
    return upkeep.take("recommit")


@dg.multi_asset(
    name="compact",
    specs=[_spec("compaction", "Small files of a date made into one", after=["ranges"])],
    pool=LAKE_POOL,
)
def compact(upkeep: UpkeepResource) -> dg.MaterializeResult[None]:
    return upkeep.take("compact")


@dg.multi_asset(
    name="retain",
    specs=[_spec("retention", "Dates past the days of their layer removed", after=["compaction"])],
    pool=LAKE_POOL,
)
def retain(upkeep: UpkeepResource) -> dg.MaterializeResult[None]:
    return upkeep.take("retain")


@dg.multi_asset(
    name="vacuum",
    specs=[_spec("vacuum", "Files that no version needs removed, once a day", after=["retention"])],
    pool=LAKE_POOL,
)
def vacuum(upkeep: UpkeepResource) -> dg.MaterializeResult[None]:
    return upkeep.take("vacuum")


@dg.multi_asset(
    name="count_files",
    specs=[_spec("table_files", "Live files and log objects of every table", after=["vacuum"])],
    check_specs=[
        dg.AssetCheckSpec(name=name, asset=COUNTED, description=words)
        for name, words in FILE_CHECKS.items()
    ],
    pool=LAKE_POOL,
)
def count_files(
    upkeep: UpkeepResource,
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    yield from upkeep.count()


@dg.multi_asset(
    name="prune_history",
    specs=[
        dg.AssetSpec(
            key=HISTORY,
            description="Dagster's own finished runs and events, pruned after their days",
            group_name=GROUP,
            kinds={"python", "sql"},
            owners=OWNERS,
        )
    ],
)
def prune_history(
    context: dg.AssetExecutionContext, history: HistoryUpkeep
) -> dg.MaterializeResult[None]:
    return history.prune(context.instance)
