"""Pooled HAR for realised variance, in logs (Corsi 2009, with minutes, an hour and a day).

log v(t, t+h) = a + b1 log v5(t) + b2 log v60(t) + b3 log v24h(t), all variances a minute,
one fit over all symbols. Features end at t, the label is the variance of the h minutes after.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import functions as F

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
    """Fit one horizon by least squares; None when there are too few rows to fit on.

    Two aggregates, the second about the means of the first, and a system of three equations:
    Spark's own regression is not to be had on serverless compute.
    """
    rows = training_rows(volatility, horizon=horizon)
    names = (*FEATURES, "label")
    facts = rows.agg(
        F.count("*").alias("n"),
        F.min("minute_at").cast("double").alias("first"),
        F.max("minute_at").cast("double").alias("last"),
        *(F.avg(name).alias(name) for name in names),
    ).first()
    if facts is None or facts["n"] < FEWEST_ROWS:
        return None
    means = np.array([facts[name] for name in names])
    products = _products(rows, names, means)
    weights = np.linalg.lstsq(products[:3, :3], products[:3, 3], rcond=None)[0]
    left = products[3, 3] - weights @ products[:3, 3]
    return Fit(
        horizon_minutes=horizon,
        intercept=float(means[3] - weights @ means[:3]),
        weights=(float(weights[0]), float(weights[1]), float(weights[2])),
        residual_variance=max(0.0, float(left)) / int(facts["n"]),
        rows=int(facts["n"]),
        trained_from=datetime.fromtimestamp(facts["first"], tz=UTC),
        trained_through=datetime.fromtimestamp(facts["last"] + 60 * horizon, tz=UTC),
    )


def _products(rows: DataFrame, names: tuple[str, ...], means: np.ndarray) -> np.ndarray:
    """Sums of the products of every two columns, each less its mean."""
    off = [F.col(name) - F.lit(float(mean)) for name, mean in zip(names, means, strict=True)]
    pairs = [(i, j) for i in range(len(names)) for j in range(i, len(names))]
    sums = rows.agg(*(F.sum(off[i] * off[j]).alias(f"{i}_{j}") for i, j in pairs)).collect()[0]
    found = np.zeros((len(names), len(names)))
    for i, j in pairs:
        found[i, j] = found[j, i] = sums[f"{i}_{j}"]
    return found


def predicted_variance(horizon: Column) -> Column:
    """Variance over the horizon from a row that has the features and the model's columns."""
    log_level = (
        F.col("intercept")
        + F.col("weight_5m") * log_variance("variance_5m")
        + F.col("weight_60m") * log_variance("variance_60m")
        + F.col("weight_24h") * log_variance("variance_24h")
    )
    return F.exp(log_level + F.col("residual_variance") / 2) * horizon
