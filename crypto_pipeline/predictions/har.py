"""Pooled HAR for realised variance, in logs (Corsi 2009, with minutes, an hour and a day).

log v(t, t+h) = a + b1 log v5(t) + b2 log v60(t) + b3 log v24h(t), all variances a minute,
one fit over all symbols. Features end at t, the label is the variance of the h minutes after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import LinearRegression
from pyspark.sql import functions as F

from crypto_pipeline.contract.message import format_time, parse_time

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

MODEL = "har_pooled"
FEATURES = ("variance_5m", "variance_60m", "variance_24h")
MINUTES = {"variance_5m": 5, "variance_15m": 15, "variance_60m": 60, "variance_24h": 1440}
LABEL = {5: "variance_5m", 15: "variance_15m", 60: "variance_60m"}
# Variance a minute of a coin that does not move: keeps the log finite.
FLOOR = 1e-10
FEWEST_ROWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Coefficients of one horizon; times are UTC."""

    horizon_minutes: int
    intercept: float
    weights: tuple[float, float, float]
    residual_variance: float
    rows: int
    trained_from: datetime
    trained_through: datetime


def log_variance(name: str) -> Column:
    """Log of a variance a minute, floored."""
    return F.log(F.col(name) / MINUTES[name] + F.lit(FLOOR))


def training_rows(volatility: DataFrame, *, horizon: int) -> DataFrame:
    """Features at each minute with the label of the horizon after it.

    The label is the realised variance that ends at t + horizon, which needs every minute
    between, so a missing poll gives no label.
    """
    label = volatility.select(
        "source",
        "symbol",
        (F.col("minute_at") - F.expr(f"INTERVAL {horizon} MINUTES")).alias("minute_at"),
        log_variance(LABEL[horizon]).alias("label"),
    )
    features = volatility.select(
        "source", "symbol", "minute_at", *(log_variance(name).alias(name) for name in FEATURES)
    )
    return features.join(label, on=["source", "symbol", "minute_at"], how="inner").dropna()


def fit(volatility: DataFrame, *, horizon: int) -> Fit | None:
    """Fit one horizon with Spark ML; None when there are too few rows to fit on."""
    assembler = VectorAssembler(inputCols=list(FEATURES), outputCol="features")
    rows = assembler.transform(training_rows(volatility, horizon=horizon)).cache()
    facts = rows.agg(
        F.count("*").alias("n"),
        F.min("minute_at").cast("double").alias("first"),
        F.max("minute_at").cast("double").alias("last"),
    ).first()
    if facts is None or facts["n"] < FEWEST_ROWS:
        rows.unpersist()
        return None
    model = LinearRegression(featuresCol="features", labelCol="label", solver="normal").fit(rows)
    weights = [float(w) for w in model.coefficients.toArray()]
    intercept = float(model.intercept)
    predicted = F.lit(intercept)
    for name, weight in zip(FEATURES, weights, strict=True):
        predicted = predicted + F.lit(weight) * F.col(name)
    spread = rows.agg(F.var_pop(F.col("label") - predicted).alias("v")).first()
    rows.unpersist()
    return Fit(
        horizon_minutes=horizon,
        intercept=intercept,
        weights=(weights[0], weights[1], weights[2]),
        residual_variance=float(spread["v"]) if spread else 0.0,
        rows=int(facts["n"]),
        trained_from=datetime.fromtimestamp(facts["first"], tz=UTC),
        trained_through=datetime.fromtimestamp(facts["last"] + 60 * horizon, tz=UTC),
    )


def predicted_variance(fit: Fit) -> Column:
    """Variance over the fit's horizon, from a row that has the features."""
    level = F.lit(fit.intercept + fit.residual_variance / 2)
    for name, weight in zip(FEATURES, fit.weights, strict=True):
        level = level + F.lit(weight) * log_variance(name)
    return F.exp(level) * fit.horizon_minutes


def described(fit: Fit) -> dict[str, Any]:
    """A fit as plain JSON."""
    times = ("trained_from", "trained_through")
    return {**asdict(fit), **{name: format_time(getattr(fit, name)) for name in times}}


def fit_of(value: Mapping[str, Any]) -> Fit:
    """The fit that was described."""
    one, two, three = (float(weight) for weight in value["weights"])
    return Fit(
        horizon_minutes=int(value["horizon_minutes"]),
        intercept=float(value["intercept"]),
        weights=(one, two, three),
        residual_variance=float(value["residual_variance"]),
        rows=int(value["rows"]),
        trained_from=parse_time(value["trained_from"]),
        trained_through=parse_time(value["trained_through"]),
    )
