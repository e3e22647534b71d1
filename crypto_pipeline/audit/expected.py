"""Each layer computed from the one before it, as a whole: what must be in its tables.

Frames have every column of their table but the batch, unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crypto_pipeline.bronze import schema as bronze_schema
from crypto_pipeline.bronze import transform as bronze_transform
from crypto_pipeline.gold import candles as gold_candles
from crypto_pipeline.gold import volatility as gold_volatility
from crypto_pipeline.gold.schema import CANDLES_1M
from crypto_pipeline.lake.table import Table
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.silver import schema as silver_schema
from crypto_pipeline.silver import transform as silver_transform
from crypto_pipeline.silver import whole

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Frames = Mapping[str, "DataFrame"]


def bronze(
    raw: DataFrame, *, market: str, replayed: DataFrame, rejected: DataFrame
) -> dict[str, DataFrame]:
    """Ticks, candles, polls and rejected, by key, of rows of raw/records.

    `replayed` has the coordinates of the rows that were put through again: they are marked so,
    and stay in `rejected` too, as they were.
    """
    place = list(RECORDS.keys)
    marks = replayed.select(*place, F.lit(True).alias("was_replayed")).distinct()
    parsed = bronze_transform.parse(raw).join(F.broadcast(marks), on=place, how="left")
    parsed = parsed.withColumn("is_replay", F.col("was_replayed"))
    tables = bronze_transform.by_table(bronze_transform.classify(parsed, market=market))
    key = bronze_schema.REJECTED.key
    names = [n for n in bronze_schema.REJECTED.columns if n != "batch"]
    kept = rejected.join(F.broadcast(marks), on=place, how="left_semi").dropDuplicates(place)
    tables[key] = tables[key].select(*names).unionByName(kept.select(*names))
    return tables


def silver(ticks: DataFrame, candles: DataFrame, history: Frames) -> dict[str, DataFrame]:
    """Ticks, candles and set_aside, by key, of rows of bronze that have `taken_in`.

    `history` has, by silver's key, all rows of the kind ever taken: lateness is against them.
    """

    def judged(rows: DataFrame, table: Table) -> DataFrame:
        newest = whole.newest_before(silver_transform.prepared(history[table.key], table))
        return whole.judge(silver_transform.prepared(rows, table), newest)

    return silver_transform.by_table(
        judged(ticks, silver_schema.TICKS), judged(candles, silver_schema.CANDLES)
    )


def candidates(ticks: DataFrame, candles: DataFrame) -> DataFrame:
    """Facts of silver with the minute of gold/candles_1m that each speaks of."""
    return gold_candles.from_exchange(candles).unionByName(gold_candles.from_ticks(ticks))


def candles_1m(facts: DataFrame) -> DataFrame:
    """The one candle a minute that the facts of `candidates` make."""
    nothing = facts.sparkSession.createDataFrame([], CANDLES_1M.schema)
    judged = gold_candles.classify(facts, nothing)
    taken = judged.where(F.col("outcome") == "taken")
    return taken.withColumn("date", F.to_date("minute_at"))


def volatility(targets: DataFrame, candles: DataFrame) -> DataFrame:
    """Measures of the target minutes; `candles` reaches a day and a minute further back."""
    minute = (F.col("minute_at").cast("long") / 60).cast("long")
    wanted = targets.select(
        *gold_candles.KEY, "close", "origin", F.to_date("minute_at").alias("date")
    ).withColumn("minute", minute)
    measured = gold_volatility.measure(
        wanted.select("source", "symbol", "minute"), gold_volatility.with_terms(candles)
    )
    return wanted.join(measured, on=["source", "symbol", "minute"], how="inner")


TYPED = (bronze_schema.TICKS, bronze_schema.CANDLES, bronze_schema.POLLS)
SILVER_TABLES = (silver_schema.TICKS, silver_schema.CANDLES, silver_schema.SET_ASIDE)
