"""The newest minute of each instrument → forecasts of every model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.gold.volatility import annualised
from crypto_pipeline.predictions import har
from crypto_pipeline.predictions.schema import FORECASTS, HORIZONS, MODELS
from crypto_pipeline.stage import StageInput, StageResult, conform

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

FORMULA_VERSION = "1"
# Best first: the first that has a value is served. Scores decide this once they are kept.
SERVING_ORDER = ("har_pooled", "ewma", "persistence")
NORMAL_95 = 1.6448536269514722
ORIGIN = ("source", "symbol", "origin_at")


def classify(minutes: DataFrame, earlier: DataFrame) -> DataFrame:
    """Add `outcome`: origin (newest of its instrument), passed (an older one) or known."""
    newest = Window.partitionBy("source", "symbol").orderBy(F.col("minute_at").desc())
    known = earlier.select(*ORIGIN).distinct().withColumn("is_known", F.lit(True))
    frame = (
        minutes.withColumn("origin_at", F.col("minute_at"))
        .withColumn("place", F.row_number().over(newest))
        .join(known, on=list(ORIGIN), how="left")
    )
    outcome = (
        F.when(F.col("place") > 1, "passed").when(F.col("is_known"), "known").otherwise("origin")
    )
    return frame.withColumn("outcome", outcome)


def forecasts(origins: DataFrame, models: DataFrame) -> DataFrame:
    """One row an origin, horizon and model that has a value; a missing input gives no row."""
    horizon = F.col("horizon_minutes")
    spread = origins.withColumn(
        "horizon_minutes", F.explode(F.array(*(F.lit(h) for h in HORIZONS)))
    ).join(F.broadcast(newest_models(models)), on="horizon_minutes", how="left")
    persistence = F.coalesce(*(F.when(horizon == h, F.col(name)) for h, name in har.LABEL.items()))
    said = {
        "persistence": (F.lit(FORMULA_VERSION), persistence),
        "ewma": (F.lit(FORMULA_VERSION), F.pow("ewma", F.lit(2.0)) / 525_600 * horizon),
        har.MODEL: (F.col("fitted_version"), har.predicted_variance(horizon)),
    }
    rows = spread.withColumn(
        "said",
        F.explode(
            F.array(
                *(
                    F.struct(
                        F.lit(name).alias("model"),
                        version.alias("model_version"),
                        variance.cast("double").alias("variance"),
                        F.lit(SERVING_ORDER.index(name)).alias("place"),
                    )
                    for name, (version, variance) in said.items()
                )
            )
        ),
    ).where(F.col("said.variance").isNotNull())
    best = F.min("said.place").over(Window.partitionBy(*ORIGIN, "horizon_minutes"))
    return _described(rows.withColumn("is_served", F.col("said.place") == best))


def newest_models(models: DataFrame) -> DataFrame:
    """The newest fit of each horizon, its version renamed so that it does not shadow."""
    newest = Window.partitionBy("horizon_minutes").orderBy(F.col("model_version").desc())
    return (
        models.withColumn("newest", F.row_number().over(newest))
        .where(F.col("newest") == 1)
        .select(
            "horizon_minutes",
            F.col("model_version").alias("fitted_version"),
            *("intercept", "weight_5m", "weight_60m", "weight_24h", "residual_variance"),
        )
    )


def _described(rows: DataFrame) -> DataFrame:
    variance = F.col("said.variance")
    deviation = F.sqrt(variance)
    horizon = F.col("horizon_minutes")
    return rows.select(
        *ORIGIN,
        "horizon_minutes",
        (F.col("origin_at") + F.make_interval(mins=horizon)).alias("target_at"),
        forecast_id(F.col("said.model"), F.col("said.model_version")).alias("id"),
        F.col("said.model").alias("model"),
        F.col("said.model_version").alias("model_version"),
        "is_served",
        "close",
        F.col("origin").alias("origin_kind"),
        variance.alias("variance"),
        annualised(variance / horizon, minutes=1).alias("volatility"),
        (-deviation * NORMAL_95).alias("return_low"),
        (deviation * NORMAL_95).alias("return_high"),
        F.col("batch").alias("input_batch"),
        F.to_date("origin_at").alias("date"),
    )


def forecast_id(model: Column, version: Column) -> Column:
    """The hash of what is asked and who answers."""
    parts = [
        F.lit("forecast"),
        F.col("source"),
        F.col("symbol"),
        F.col("origin_at").cast("string"),
        F.col("horizon_minutes").cast("string"),
        model,
        version,
    ]
    return F.sha2(F.concat_ws("\x1f", *parts), 256)


def run(given: StageInput) -> StageResult:
    since = given.span[0] if given.span else given.now
    earlier = given.known(FORECASTS, since=since)
    classified = given.keep(classify(given.new[VOLATILITY.key], earlier))
    origins = classified.where(F.col("outcome") == "origin")
    rows = given.keep(forecasts(origins, given.known(MODELS)))
    return StageResult(
        classified=(classified,),
        outputs={FORECASTS.key: conform(rows, FORECASTS, batch=given.batch)},
        equations={},
        cached=(classified, rows),
    )
