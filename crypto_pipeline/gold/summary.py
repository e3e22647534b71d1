"""The market now: the newest minute of each source and symbol, with its newest tick."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from crypto_pipeline.gold.schema import MARKET_SUMMARY, VOLATILITY
from crypto_pipeline.silver import schema as silver
from crypto_pipeline.stage import StageInput, StageResult, conform

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

INSTRUMENT = ("source", "symbol")
# A tick belongs to the minute before it; look a little further for a source that polls rarely.
TICK_REACH = timedelta(minutes=10)
QUOTED = (*INSTRUMENT, "poll_at", "price", "bid", "ask", "quote_volume_24h")


def newest(frame: DataFrame, order: str) -> DataFrame:
    """The row with the greatest `order` of each source and symbol."""
    place = F.row_number().over(Window.partitionBy(*INSTRUMENT).orderBy(F.col(order).desc()))
    return frame.withColumn("place", place).where(F.col("place") == 1).drop("place")


def summarise(minutes: DataFrame, ticks: DataFrame, earlier: DataFrame) -> DataFrame:
    """New minutes over the summary as it was; a symbol without a new minute keeps its row.

    A minute that is measured again, for a late candle, replaces itself.
    """
    quote = newest(ticks, "poll_at").select(
        *INSTRUMENT,
        "price",
        "bid",
        "ask",
        F.col("quote_volume_24h").cast("double").alias("volume_24h"),
        "poll_at",
    )
    middle = (F.col("bid") + F.col("ask")).cast("double") / 2
    measures = [
        *("return_1m", "return_5m", "return_1h", "return_24h"),
        *("volatility_5m", "volatility_1h", "volatility_24h"),
    ]
    now = (
        newest(minutes, "minute_at")
        .join(quote, on=list(INSTRUMENT), how="left")
        .select(
            *INSTRUMENT,
            "minute_at",
            F.coalesce("price", "close").alias("last"),
            "bid",
            "ask",
            ((F.col("ask") - F.col("bid")).cast("double") / middle * 10_000).alias("spread_bps"),
            *measures,
            "volume_24h",
            "poll_at",
        )
    )
    older = earlier.select(*now_columns(measures)).join(
        now.select(*INSTRUMENT, F.col("minute_at").alias("new_at")), on=list(INSTRUMENT), how="left"
    )
    kept = older.where(F.col("new_at").isNull() | (F.col("minute_at") > F.col("new_at")))
    merged = newest(now.unionByName(kept.drop("new_at")), "minute_at")
    by_volatility = Window.partitionBy("source").orderBy(
        F.col("volatility_1h").desc_nulls_last(), F.col("symbol")
    )
    rank = F.when(F.col("volatility_1h").isNotNull(), F.row_number().over(by_volatility))
    return merged.withColumn("volatility_rank", rank)


def now_columns(measures: list[str]) -> list[str]:
    return [
        *INSTRUMENT, "minute_at", "last", "bid", "ask", "spread_bps", *measures, "volume_24h",
        "poll_at",
    ]  # fmt: skip


def run(given: StageInput) -> StageResult:
    minutes = given.new[VOLATILITY.key]
    until = given.span[1] if given.span else given.now
    ticks = given.known(silver.TICKS, since=until - TICK_REACH, columns=QUOTED)
    rows = given.keep(
        conform(
            summarise(minutes, ticks, given.known(MARKET_SUMMARY)),
            MARKET_SUMMARY,
            batch=given.batch,
        )
    )
    return StageResult(
        classified=(minutes.withColumn("outcome", F.lit("summarised")),),
        outputs={MARKET_SUMMARY.key: rows},
        equations={},
        cached=(rows,),
    )
