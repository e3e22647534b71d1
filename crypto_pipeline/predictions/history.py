"""gold/volatility → the fits of the minute cycle: the walk's own, over the lake's last days."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from crypto_pipeline.predictions import formula, recipe, walk
from crypto_pipeline.predictions.fit import Fit
from crypto_pipeline.predictions.inputs import ORIGIN_STEP, label, outcome
from crypto_pipeline.predictions.losses import price_step
from crypto_pipeline.predictions.schema import HORIZONS
from crypto_pipeline.predictions.walk_jobs import (
    KEY,
    POOL_ROWS,
    WEIGHT_TYPES,
    weights_of,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FIT_TYPES = f"horizon int, first long, last long, {WEIGHT_TYPES}"


def origins(volatility: DataFrame) -> DataFrame:
    """Minutes that end at a multiple of five: measures, close, and minutes since 1970."""
    every = volatility.withColumn("minute", formula.minute())
    return every.where((F.col("minute") + 1) % ORIGIN_STEP == 0).select(
        *KEY,
        "minute",
        F.col("close").cast("double").alias("close"),
        *(measure.alias(name) for name, measure in formula.measures().items()),
    )


def fit_history(volatility: DataFrame, *, on_driver: bool = False) -> tuple[Fit, ...]:
    """Every model of the cycle at every horizon that has rows enough, in one Spark job.

    With `on_driver` the rows are fitted in this process, for workers without our package.
    """
    rows = origins(volatility)
    count = rows.where(F.col("ewma").isNotNull()).count()
    if count < recipe.FEWEST_ROWS:
        return ()
    if count > POOL_ROWS:
        # Whole symbols, by their names: labels are of the same symbol's later rows.
        place = F.pmod(F.xxhash64(*KEY), F.lit(1_000_000))
        rows = rows.where(place < F.lit(POOL_ROWS * 1_000_000 // count))
    if on_driver:
        return tuple(_fit(row) for row in fits(rows.toPandas()).to_dict("records"))
    found = rows.withColumn("pool", F.lit(0)).groupBy("pool").applyInPandas(fits, FIT_TYPES)
    return tuple(_fit(row.asDict()) for row in found.collect())


def fits(rows: pd.DataFrame) -> pd.DataFrame:
    """Weights of each horizon and model, with the minutes that its labels reach over."""
    rows = rows.sort_values([*KEY, "minute"]).reset_index(drop=True)
    of_symbol = rows.groupby(list(KEY))["close"]
    rows["step"] = of_symbol.transform(lambda prices: price_step(prices.to_numpy(np.float64)))
    found = []
    for horizon in HORIZONS:
        training = labelled(rows, horizon=horizon)
        for one in walk.fit_all(training, horizon=horizon):
            if one.model in recipe.LIVE_FITTED:
                span = (int(training["minute"].min()), int(training["minute"].max()) + horizon)
                values = (getattr(one, name) for name in recipe.Weights.__slots__)
                found.append((horizon, *span, *values))
    names = ["horizon", "first", "last", *recipe.Weights.__slots__]
    return pd.DataFrame(found, columns=names)


def labelled(rows: pd.DataFrame, *, horizon: int) -> pd.DataFrame:
    """Origins with the variance and return of the horizon after them; those without left out.

    The later row's variance over the horizon needs every minute between, so a missed poll gives
    no label, never a zero.
    """
    later = rows[[*KEY, "minute", "close", f"variance_{horizon}m"]].copy()
    later["minute"] -= horizon
    later[label(horizon)] = later.pop(f"variance_{horizon}m") * horizon
    later = later.rename(columns={"close": "then"})
    found = rows.merge(later, on=[*KEY, "minute"], how="inner")
    found[outcome(horizon)] = np.log(found.pop("then") / found["close"])
    return found[np.isfinite(found[label(horizon)])]


def _fit(row: Mapping[Any, Any]) -> Fit:
    weights = weights_of(row)
    return Fit(
        model=weights.model,
        horizon_minutes=row["horizon"],
        weights=weights.values,
        band=weights.band,
        residual_variance=weights.spread,
        rows=weights.rows,
        trained_from=_utc(row["first"]),
        trained_through=_utc(row["last"]),
    )


def _utc(minute: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
