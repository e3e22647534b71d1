"""The newest minute of each instrument → forecasts of every model, one of them served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.gold.volatility import annualised
from crypto_pipeline.predictions import formula
from crypto_pipeline.predictions.recipe import EWMA, NORMAL_95, PERSISTENCE
from crypto_pipeline.predictions.schema import FORECASTS, GATES, MODELS
from crypto_pipeline.predictions.seats import Seat, seats
from crypto_pipeline.stage import StageInput, StageResult, conform

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

FORMULA_VERSION = "1"
ORIGIN = ("source", "symbol", "origin_at")
SEPARATOR = "\x1f"


def classify(given: StageInput) -> tuple[DataFrame, bool]:
    """Add `outcome`: origin (newest of its instrument), passed (an older one) or known.

    Also whether that took more than reading: a minute that comes after all that was read before
    holds one row an instrument and no origin that is known, which is the case in most cycles.
    """
    minutes = given.new[VOLATILITY.key].withColumn("origin_at", F.col("minute_at"))
    before = given.before.get(VOLATILITY.key)
    if given.span and before and before < given.span[0] == given.span[1]:
        return minutes.withColumn("outcome", F.lit("origin")), False
    since = given.span[0] if given.span else given.now
    known = given.known(FORECASTS, since=since).select(*ORIGIN).distinct()
    newest = Window.partitionBy("source", "symbol").orderBy(F.col("minute_at").desc())
    frame = minutes.withColumn("place", F.row_number().over(newest)).join(
        known.withColumn("is_known", F.lit(True)), on=list(ORIGIN), how="left"
    )
    outcome = (
        F.when(F.col("place") > 1, "passed").when(F.col("is_known"), "known").otherwise("origin")
    )
    return frame.withColumn("outcome", outcome), True


def forecasts(origins: DataFrame, serving: Sequence[Seat]) -> DataFrame:
    """One row an origin, horizon and model that has a value; a missing input gives no row.

    Everything is found on the origin's own row, so nothing is shuffled, and spread at the end.
    Terms are columns of their own: six fits share them.
    """
    measured = origins.select(
        *(*ORIGIN, "minute_at", "close", "origin", "batch", stem().alias("stem")),
        *(measure.alias(name) for name, measure in formula.measures().items()),
    )
    spoken = measured.withColumns(formula.terms()).select(
        *(*ORIGIN, "close", "origin", "batch", "stem"),
        *(
            variance.cast("double").alias(_place(seat, model))
            for seat in serving
            for model, variance in variances(seat).items()
        ),
    )
    winners = {_place(seat, "served"): served(seat) for seat in serving}
    said = F.array(*(_said(seat, model) for seat in serving for model in variances(seat)))
    rows = spoken.withColumns(winners).withColumn("said", F.explode(said))
    return _described(rows.where(F.col("said.variance").isNotNull()))


def variances(seat: Seat) -> dict[str, Column]:
    """What each model says at one horizon. A fit that is too old, or too young, says nothing."""
    horizon = seat.horizon_minutes
    said = {
        PERSISTENCE: F.col(f"variance_{horizon}m") * horizon,
        EWMA: F.col("ewma") * horizon,
    }
    for model, fit in seat.fits.items():
        said[model] = F.when(_is_fresh(seat, model), formula.predicted_variance(fit))
    return said


def served(seat: Seat) -> Column:
    """The first model in the seat's order that speaks.

    A chosen model without a fresh fit leaves its horizon without a forecast: an old model is not
    passed over in silence.
    """
    models = variances(seat)
    speaking = (
        F.when(F.col(_place(seat, model)).isNotNull(), model)
        for model in seat.order
        if model in models
    )
    may_serve = _is_fresh(seat, seat.chosen) if seat.is_fitted else F.lit(True)
    return F.when(may_serve, F.coalesce(*speaking))


def _is_fresh(seat: Seat, model: str) -> Column:
    span = seat.speaks_of(model)
    return F.lit(False) if span is None else F.col("origin_at").between(*map(F.lit, span))


def _said(seat: Seat, model: str) -> Column:
    fit = seat.fits.get(model)
    is_served = F.col(_place(seat, "served")) == model
    return F.struct(
        F.lit(seat.horizon_minutes).alias("horizon"),
        F.lit(model).alias("model"),
        F.lit(FORMULA_VERSION if fit is None else seat.version).alias("model_version"),
        F.col(_place(seat, model)).alias("variance"),
        F.lit(NORMAL_95 if fit is None else fit.band).alias("band"),
        F.coalesce(is_served, F.lit(False)).alias("is_served"),
    )


def _place(seat: Seat, what: str) -> str:
    return f"{what}_at_{seat.horizon_minutes}"


def _described(rows: DataFrame) -> DataFrame:
    variance = F.col("said.variance")
    half = F.sqrt(variance) * F.col("said.band")
    horizon = F.col("said.horizon")
    return rows.select(
        *ORIGIN,
        horizon.alias("horizon_minutes"),
        (F.col("origin_at") + F.make_interval(mins=horizon)).alias("target_at"),
        forecast_id(
            F.col("stem"),
            horizon=horizon,
            model=F.col("said.model"),
            version=F.col("said.model_version"),
        ).alias("id"),
        F.col("said.model").alias("model"),
        F.col("said.model_version").alias("model_version"),
        F.col("said.is_served").alias("is_served"),
        "close",
        F.col("origin").alias("origin_kind"),
        variance.alias("variance"),
        annualised(variance / horizon, minutes=1).alias("volatility"),
        (-half).alias("return_low"),
        half.alias("return_high"),
        F.col("batch").alias("input_batch"),
        F.to_date("origin_at").alias("date"),
    )


def stem() -> Column:
    """What the ids of an origin's forecasts have in common."""
    origin = F.col("origin_at").cast("string")
    return F.concat_ws(SEPARATOR, F.lit("forecast"), F.col("source"), F.col("symbol"), origin)


def forecast_id(stem: Column, *, horizon: Column, model: Column, version: Column) -> Column:
    """The hash of what is asked and who answers."""
    return F.sha2(F.concat_ws(SEPARATOR, stem, horizon.cast("string"), model, version), 256)


def run(given: StageInput) -> StageResult:
    classified, is_costly = classify(given)
    if is_costly:
        classified = given.keep(classified)
    origins = classified.where(F.col("outcome") == "origin")
    said = forecasts(origins, seats(given.last(GATES), given.last(MODELS)))
    rows = given.keep(conform(said, FORECASTS, batch=given.batch))
    return StageResult(
        classified=(classified,),
        outputs={FORECASTS.key: rows},
        equations={},
        cached=(classified, rows),
    )
