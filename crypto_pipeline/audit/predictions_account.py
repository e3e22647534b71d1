"""Forecasts by themselves: each once, its id that of what it says, at most one of a horizon served.

They are not computed anew: they say what was known at their time. That none is missing is in the
counts of the commits. A horizon whose model is too old has none that is served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crypto_pipeline.audit.difference import Account, Difference
from crypto_pipeline.audit.pins import Pins
from crypto_pipeline.predictions.schema import FORECASTS
from crypto_pipeline.predictions.transform import forecast_id, stem
from crypto_pipeline.stages import PREDICTIONS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

QUESTION = ("source", "symbol", "origin_at", "horizon_minutes")


def account(pins: Pins) -> Account:
    """Forecasts that were committed in the range."""
    batches = [record.batch for _, record in pins.commits(PREDICTIONS)]
    rows = pins.rows(FORECASTS, upto=pins.batch(PREDICTIONS))
    if pins.start is not None or pins.end is not None:
        rows = rows.where(F.col("batch").between(min(batches, default=0), max(batches, default=0)))
    found = _copies(rows).unionByName(_served(rows)).orderBy("what").collect()
    differences = [
        Difference(table=FORECASTS.key, what=row["what"], rows=row["n"], example=row["first"])
        for row in found
    ]
    return Account(lines=(), differences=tuple(differences))


def _copies(rows: DataFrame) -> DataFrame:
    """Ids that are there twice, or are not of the row that carries them."""
    own = F.col("id") == forecast_id(
        stem(),
        horizon=F.col("horizon_minutes"),
        model=F.col("model"),
        version=F.col("model_version"),
    )
    ids = rows.groupBy("id").agg(
        F.count("*").alias("copies"), F.min(own).alias("is_own"), F.min(_label()).alias("label")
    )
    what = F.when(F.col("copies") > 1, "doubled").when(~F.col("is_own"), "altered (id)")
    return _counted(ids.withColumn("what", what))


def _served(rows: DataFrame) -> DataFrame:
    served = F.count_distinct(F.when(F.col("is_served"), F.col("id")))
    asked = rows.groupBy(*QUESTION).agg(served.alias("served"))
    what = F.when(F.col("served") > 1, "two are served")
    return _counted(asked.withColumn("what", what).withColumn("label", _label()))


def _label() -> Column:
    at = F.date_format("origin_at", "yyyy-MM-dd'T'HH:mm'Z'")
    return F.concat_ws(" ", "source", "symbol", at, F.col("horizon_minutes").cast("string"))


def _counted(rows: DataFrame) -> DataFrame:
    wrong = rows.where(F.col("what").isNotNull()).groupBy("what")
    return wrong.agg(F.count("*").alias("n"), F.min("label").alias("first"))
