"""The walk forward as Spark jobs: candles in, losses of every origin out.

Three jobs a horizon at most: inputs by symbol, the pool's fits over a sample of all symbols,
then each symbol on its own. What a Python worker gets is one symbol, or a bounded sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from crypto_pipeline.predictions import recipe, walk
from crypto_pipeline.predictions.inputs import COLUMNS, build_inputs, label, outcome
from crypto_pipeline.predictions.schema import HORIZONS
from crypto_pipeline.predictions.walk import Fold, Pool

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

KEY = ("source", "symbol")
KEY_TYPES = "source string, symbol string"
INPUT_NAMES = (*COLUMNS, *(f(h) for h in HORIZONS for f in (label, outcome)))
INPUT_TYPES = f"{KEY_TYPES}, minute long, " + ", ".join(f"{n} double" for n in INPUT_NAMES[1:])
WEIGHT_TYPES = "model string, values array<double>, band double, rows long, spread double"
POOL_TYPES = f"fold int, {WEIGHT_TYPES}"
LOSS_TYPES = (
    f"{KEY_TYPES}, minute long, unmoved double, "
    + ", ".join(f"{name} double" for name in walk.loss_columns())
    + ", is_pooled boolean, regime string"
)
# Rows of all symbols that the pool's fits may take: a worker holds them at once.
POOL_ROWS = 400_000


def inputs(candles: DataFrame) -> DataFrame:
    """Candles (`source`, `symbol`, `minute`, open, high, low, close) → inputs at the origins."""

    def of_symbol(rows: pd.DataFrame) -> pd.DataFrame:
        found = build_inputs(rows)
        for name in KEY:
            found[name] = rows[name].iloc[0]
        return found[[*KEY, *INPUT_NAMES]]

    return candles.groupBy(*KEY).applyInPandas(of_symbol, INPUT_TYPES)


def fit_pools(rows: DataFrame, *, horizon: int, folds: Sequence[Fold]) -> Pool:
    """The pool's models of each fold; a fold with too few rows is left out."""
    first = min(fold.start - fold.window for fold in folds)
    rows = rows.where(F.col("minute") >= F.lit(first))
    count = rows.count()
    share = min(1.0, POOL_ROWS / max(count, 1))
    sample = rows
    if share < 1.0:
        # By the row's own key, so that the same candles give the same sample anywhere.
        place = F.pmod(F.xxhash64(*KEY, "minute"), F.lit(1_000_000))
        sample = rows.where(place < F.lit(int(share * 1_000_000)))

    def of_all(part: pd.DataFrame) -> pd.DataFrame:
        ordered = part.sort_values([*KEY, "minute"])
        return walk.fit_pool(ordered, horizon=horizon, folds=folds)

    found = (
        sample.withColumn("pool", F.lit(0))
        .groupBy("pool")
        .applyInPandas(of_all, POOL_TYPES)
        .collect()
    )
    pool: dict[int, dict[str, recipe.Weights]] = {}
    for row in found:
        pool.setdefault(row["fold"], {})[row["model"]] = weights_of(row.asDict())
    return pool


def weights_of(row: Mapping[Any, Any]) -> recipe.Weights:
    """The weights of a row with their columns."""
    return recipe.Weights(
        row["model"], tuple(row["values"]), row["band"], row["rows"], row["spread"]
    )


def losses(rows: DataFrame, *, horizon: int, folds: Sequence[Fold], pool: Pool) -> DataFrame:
    """Losses of each model at every origin of the folds, a symbol at a time."""

    def of_symbol(part: pd.DataFrame) -> pd.DataFrame:
        found = walk.forecast_symbol(part, horizon=horizon, folds=folds, pool=pool)
        for name in KEY:
            found[name] = np.repeat(part[name].iloc[0], len(found))
        return found[[*KEY, "minute", "unmoved", *walk.loss_columns(), "is_pooled", "regime"]]

    return rows.groupBy(*KEY).applyInPandas(of_symbol, LOSS_TYPES)
