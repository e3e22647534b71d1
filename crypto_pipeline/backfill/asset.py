"""Work about a day, as partitions: its candles fetched anew, and its gaps repaired."""

# No postponed annotations: Dagster reads the class of `context`.
import dagster as dg

from crypto_pipeline.resources.day_work import DayWork
from crypto_pipeline.resources.specs import BACKGROUND_POOL
from crypto_pipeline.stream.asset import OWNERS, market_api

# The first day of which the first venue has minutes: its oldest pair began on 2017-08-17.
FIRST_DAY = "2017-08-17"

WHOLE_DAYS = dg.DailyPartitionsDefinition(start_date=FIRST_DAY)
# Today has gaps too.
DAYS = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, end_offset=1)


@dg.asset(
    key=["backfill", "candle_backfill"],
    group_name="backfill",
    kinds={"kafka", "python"},
    owners=OWNERS,
    partitions_def=WHOLE_DAYS,
    pool=BACKGROUND_POOL,
    deps=[market_api.key],
    description="A day's exchange candles of the watch-list, sent to the topic once more",
)
def candle_backfill(
    context: dg.AssetExecutionContext, day_work: DayWork
) -> dg.MaterializeResult[None]:
    return day_work.backfill(context.partition_key)


@dg.asset(
    key=["backfill", "gap_repair"],
    group_name="backfill",
    kinds={"kafka", "python"},
    owners=OWNERS,
    partitions_def=DAYS,
    pool=BACKGROUND_POOL,
    deps=[market_api.key, dg.AssetKey(["silver", "gaps"])],
    description="The candles that the ledger of a day says are missing, asked for once more",
)
def gap_repair(context: dg.AssetExecutionContext, day_work: DayWork) -> dg.MaterializeResult[None]:
    return day_work.repair(context.partition_key)
