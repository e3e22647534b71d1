"""What the lake fits and says of its own rows is what the walk forward fits and says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.predictions import formula, history, recipe, walk
from crypto_pipeline.predictions.inputs import COLUMNS, MEASURES, build_inputs, label
from crypto_pipeline.predictions.losses import price_step
from crypto_pipeline.predictions.schema import HORIZONS
from crypto_pipeline_tests.builders import frame
from crypto_pipeline_tests.predictions.candles import gold_row, market

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def seen() -> pd.DataFrame:
    """Inputs of two symbols at every minute that ends a five; one has a hole."""
    parts = []
    for seed, price, step in ((1, 100.0, 0.01), (2, 1.0, 0.0001)):
        candles = market(days=2, seed=seed, price=price, step=step)
        if seed == 2:
            candles = candles.drop(index=range(1500, 1560)).reset_index(drop=True)
        parts.append(build_inputs(candles).assign(source="test", symbol=f"C{seed}-USDT"))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def gold(spark: SparkSession, seen: pd.DataFrame) -> Iterator[DataFrame]:
    rows = [gold_row(row, row["symbol"]) for row in seen.to_dict("records")]
    made = frame(spark, VOLATILITY, rows).cache()
    yield made
    made.unpersist()


def test_the_lake_fits_what_the_walk_forward_fits(gold: DataFrame, seen: pd.DataFrame) -> None:
    found = {(fit.model, fit.horizon_minutes): fit for fit in history.fit_history(gold)}
    assert set(found) == {(model, h) for model in recipe.LIVE_FITTED for h in HORIZONS}
    closes = seen.groupby("symbol")["close"]
    step = closes.transform(lambda prices: price_step(prices.to_numpy()))
    for horizon in HORIZONS:
        expected = walk.fit_all(seen.assign(step=step), horizon=horizon)
        for weights in expected:
            if weights.model not in recipe.LIVE_FITTED:
                continue
            fit = found[weights.model, horizon]
            assert fit.weights == pytest.approx(weights.values, rel=1e-6, abs=1e-8)
            assert fit.band == pytest.approx(weights.band, rel=1e-6)
            assert fit.rows == weights.rows == int(np.isfinite(seen[label(horizon)]).sum())


def test_a_row_of_gold_is_served_as_the_walk_forward_forecasts_it(
    gold: DataFrame, seen: pd.DataFrame
) -> None:
    fits = history.fit_history(gold.where(F.col("symbol") == "C1-USDT"))
    said = (
        gold.select("minute_at", *(m.alias(name) for name, m in formula.measures().items()))
        .withColumns(formula.terms())
        .select(*(formula.predicted_variance(fit).alias(f"v{n}") for n, fit in enumerate(fits)))
        .toPandas()
    )
    x = recipe.design({name: seen[name].to_numpy() for name in MEASURES}, seen["minute"].to_numpy())
    for n, fit in enumerate(fits):
        expected = recipe.predict(
            x, np.array(fit.weights), np.zeros(len(x)), horizon=fit.horizon_minutes
        )
        np.testing.assert_allclose(said[f"v{n}"], expected, rtol=1e-8)


def test_too_few_rows_give_no_fit(gold: DataFrame) -> None:
    assert history.fit_history(gold.limit(recipe.FEWEST_ROWS - 1)) == ()


def test_a_missed_minute_gives_no_label(seen: pd.DataFrame) -> None:
    rows = seen[seen["symbol"] == "C2-USDT"]
    for horizon in HORIZONS:
        found = history.labelled(rows[["source", "symbol", *COLUMNS]], horizon=horizon)
        complete = rows[np.isfinite(rows[label(horizon)])]
        assert found["minute"].tolist() == complete["minute"].tolist()
        np.testing.assert_allclose(
            found[label(horizon)], complete[label(horizon)], rtol=1e-9, atol=1e-18
        )
