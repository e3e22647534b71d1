"""The newest minute of each instrument → forecasts of every model, one of them served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.gold.volatility import annualised
from crypto_pipeline.predictions import har
from crypto_pipeline.predictions.gate import FIRST_FORMULA, FORMULAS, GREATEST_AGE
from crypto_pipeline.predictions.schema import FORECASTS, GATES, HORIZONS, MODELS
from crypto_pipeline.stage import StageInput, StageResult, conform

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

FORMULA_VERSION = "1"
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


def forecasts(origins: DataFrame, models: DataFrame, gates: DataFrame) -> DataFrame:
    """One row an origin, horizon and model that has a value; a missing input gives no row.

    A fit that is too old says nothing.
    """
    horizon = F.col("horizon_minutes")
    spread = (
        origins.withColumn("horizon_minutes", F.explode(F.array(*(F.lit(h) for h in HORIZONS))))
        .join(F.broadcast(newest_gates(gates)), on="horizon_minutes", how="left")
        .join(F.broadcast(serving_models(models, gates)), on="horizon_minutes", how="left")
        .withColumn("is_fitted", is_fresh())
    )
    persistence = F.coalesce(*(F.when(horizon == h, F.col(name)) for h, name in har.LABEL.items()))
    fitted = F.when(F.col("is_fitted"), har.predicted_variance(horizon))
    said = {
        "persistence": (F.lit(FORMULA_VERSION), persistence),
        "ewma": (F.lit(FORMULA_VERSION), F.pow("ewma", F.lit(2.0)) / 525_600 * horizon),
        har.MODEL: (F.col("fitted_version"), fitted),
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
                    )
                    for name, (version, variance) in said.items()
                )
            )
        ),
    ).where(F.col("said.variance").isNotNull())
    placed = rows.withColumn("place", serving_place())
    best = F.min("place").over(Window.partitionBy(*ORIGIN, "horizon_minutes"))
    is_served = F.coalesce(F.col("place") == best, F.lit(False))
    return _described(placed.withColumn("is_served", is_served))


def is_fresh() -> Column:
    """Whether there is a fit and it is not too old for the origin."""
    hours = int(GREATEST_AGE.total_seconds() // 3600)
    until = F.col("fitted_through") + F.expr(f"INTERVAL {hours} HOURS")
    return F.coalesce(F.col("origin_at") <= until, F.lit(False))


def serving_place() -> Column:
    """The lowest place that speaks is served; null is never served.

    The champion, then the better formula, then the other. A champion without a fresh fit leaves
    its horizon without a forecast: an old model is not passed over in silence.
    """
    model, champion = F.col("said.model"), F.col("champion")
    is_silenced = champion.isNotNull() & ~F.col("is_fitted")
    place = F.when(model == champion, 0).when(model == F.col("baseline"), 1)
    for number, name in enumerate(FORMULAS, start=2):
        place = place.when(model == name, number)
    return F.when(~is_silenced, place)


def newest_gates(gates: DataFrame) -> DataFrame:
    """The decision that holds, a row a horizon."""
    return gates.groupBy("horizon_minutes").agg(
        F.max_by("champion", "decided_at").alias("champion"),
        F.coalesce(F.max_by("baseline", "decided_at"), F.lit(FIRST_FORMULA)).alias("baseline"),
        F.max_by("pinned_version", "decided_at").alias("pinned_version"),
    )


def serving_models(models: DataFrame, gates: DataFrame) -> DataFrame:
    """The fit of each horizon that was put in place by hand, else the newest.

    Its version is renamed so that it does not shadow.
    """
    pinned = newest_gates(gates).select("horizon_minutes", "pinned_version")
    is_pinned = F.coalesce(F.col("model_version") == F.col("pinned_version"), F.lit(False))
    first = Window.partitionBy("horizon_minutes").orderBy(
        F.col("is_pinned").desc(), F.col("model_version").desc()
    )
    return (
        models.join(F.broadcast(pinned), on="horizon_minutes", how="left")
        .withColumn("is_pinned", is_pinned)
        .withColumn("place", F.row_number().over(first))
        .where((F.col("place") == 1) & (F.col("is_pinned") | F.col("pinned_version").isNull()))
        .select(
            "horizon_minutes",
            F.col("model_version").alias("fitted_version"),
            F.col("trained_through").alias("fitted_through"),
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
        _id().alias("id"),
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


def _id() -> Column:
    parts = [
        F.lit("forecast"),
        F.col("source"),
        F.col("symbol"),
        F.col("origin_at").cast("string"),
        F.col("horizon_minutes").cast("string"),
        F.col("said.model"),
        F.col("said.model_version"),
    ]
    return F.sha2(F.concat_ws("\x1f", *parts), 256)


def run(given: StageInput) -> StageResult:
    since = given.span[0] if given.span else given.now
    earlier = given.known(FORECASTS, since=since)
    classified = given.keep(classify(given.new[VOLATILITY.key], earlier))
    origins = classified.where(F.col("outcome") == "origin")
    rows = given.keep(forecasts(origins, given.known(MODELS), given.known(GATES)))
    return StageResult(
        classified=(classified,),
        outputs={FORECASTS.key: conform(rows, FORECASTS, batch=given.batch)},
        equations={},
        cached=(classified, rows),
    )
