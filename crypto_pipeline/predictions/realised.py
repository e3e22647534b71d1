"""Forecasts joined with what came: losses of each, and their means at each origin and scope.

The same floors, losses and common origins as in the walk forward, as Spark expressions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from crypto_pipeline.predictions.inputs import ORIGIN_STEP
from crypto_pipeline.predictions.losses import HIGH, LOW
from crypto_pipeline.predictions.schema import HORIZONS
from crypto_pipeline.predictions.walk import REGIMES

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

KEY = ("source", "symbol", "origin_at", "horizon_minutes")

# The scope of all symbols, which the gate judges by.
ALL = "all"
# Up to so many symbols have a scope each: of a whole venue that were as many rows as forecasts.
NAMED_SYMBOLS = 100
# Calm or wild: the last hour's variance is at most half or at least twice the day's mean hour.
CALM, WILD = 0.5, 2.0


def losses(said: DataFrame, minutes: DataFrame) -> DataFrame:
    """Forecasts of origins that end at a multiple of 5 minutes, where every model spoke.

    `said` are rows of predictions/forecasts, `minutes` of gold/volatility. A horizon that lacks a
    minute has no realised variance and is left out, never a zero. The floor is (half a price step
    ÷ price)² a minute, the step the smallest between two closes of `minutes`.
    """
    horizon = F.col("horizon_minutes")
    came = minutes.select(
        *("source", "symbol", F.col("minute_at").alias("target_at")),
        F.col("close").cast("double").alias("price"),
        *(F.col(f"variance_{h}m").alias(f"came_{h}") for h in HORIZONS),
    )
    realised = F.coalesce(*(F.when(horizon == h, F.col(f"came_{h}")) for h in HORIZONS))
    ends = (F.col("origin_at").cast("long") / 60).cast("long") + 1
    before = minutes.select(
        "source", "symbol", F.col("minute_at").alias("origin_at"), regime().alias("regime")
    )
    joined = (
        said.where(ends % ORIGIN_STEP == 0)
        .withColumn("start", F.col("close").cast("double"))
        .drop("close")
        .join(came, on=["source", "symbol", "target_at"], how="inner")
        .join(before, on=["source", "symbol", "origin_at"], how="left")
        .join(price_steps(minutes), on=["source", "symbol"], how="inner")
        .withColumn("floor", F.pow(0.5 * F.col("step") / F.col("start"), F.lit(2.0)) * horizon)
        .withColumn("came", realised)
        .where(F.col("came").isNotNull())
        .withColumn("ratio", F.greatest("came", "floor") / F.greatest("variance", "floor"))
        .withColumn("r", F.log(F.col("price") / F.col("start")))
    )
    speaking = joined.withColumn("speaking", F.count("*").over(Window.partitionBy(*KEY)))
    at_origin = Window.partitionBy("origin_at", "horizon_minutes")
    common = speaking.withColumn("known", F.max("speaking").over(at_origin)).where(
        F.col("speaking") == F.col("known")
    )
    few = F.count("*").over(at_origin) <= NAMED_SYMBOLS * F.col("known")
    return common.select(
        *(*KEY, "model", "model_version", "is_served"),
        F.coalesce("regime", F.lit(REGIMES[1])).alias("regime"),
        few.alias("is_named"),
        (F.col("ratio") - F.log("ratio") - 1).alias("qlike"),
        F.pow(F.log("ratio"), F.lit(2.0)).alias("log_error"),
        _band_loss().alias("pinball"),
        F.col("r").between(F.col("return_low"), F.col("return_high")).cast("int").alias("inside"),
    )


def price_steps(minutes: DataFrame) -> DataFrame:
    """The smallest step between two closes of each symbol; one that never moved has no row."""
    order = Window.partitionBy("source", "symbol").orderBy("close")
    closes = minutes.select("source", "symbol", "close").distinct()
    steps = closes.withColumn("gap", (F.col("close") - F.lag("close").over(order)).cast("double"))
    return steps.where(F.col("gap") > 0).groupBy("source", "symbol").agg(F.min("gap").alias("step"))


def regime() -> Column:
    """Of a row of gold/volatility: calm, usual or wild; null without a day of minutes."""
    hour = 24 * F.col("variance_60m") / F.when(F.col("variance_24h") > 0, F.col("variance_24h"))
    calm, usual, wild = REGIMES
    return F.when(hour <= CALM, calm).when(hour >= WILD, wild).when(hour.isNotNull(), usual)


def by_origin(found: DataFrame) -> DataFrame:
    """One row an origin, horizon, model and scope: how many forecasts, and their losses' means."""
    symbol = F.when(F.col("is_named"), F.concat_ws(":", F.lit("symbol"), "source", "symbol"))
    scopes = F.array(F.lit(ALL), F.concat(F.lit("regime:"), F.col("regime")), symbol)
    scoped = found.withColumn("scope", F.explode(scopes)).where(F.col("scope").isNotNull())
    return scoped.groupBy("origin_at", "horizon_minutes", "model", "scope").agg(
        F.max("model_version").alias("model_version"),
        F.count("*").alias("forecasts"),
        F.sum(F.col("is_served").cast("long")).alias("served"),
        F.avg("qlike").alias("qlike"),
        F.percentile("qlike", 0.5).alias("median_qlike"),
        F.avg("log_error").alias("mse_log"),
        F.avg("pinball").alias("pinball"),
        F.avg("inside").alias("coverage"),
    )


def _band_loss() -> Column:
    """Mean pinball loss of the 5, 50 and 95 % quantiles; the middle is zero."""
    low, high = _pinball(F.col("return_low"), LOW), _pinball(F.col("return_high"), HIGH)
    return (low + F.abs("r") / 2 + high) / 3


def _pinball(quantile: Column, level: float) -> Column:
    miss = F.col("r") - quantile
    return F.greatest(level * miss, (level - 1) * miss)
