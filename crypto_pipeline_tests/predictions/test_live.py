"""What was forecast, joined with what came: losses, the common origins, once an hour."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import jsonschema
import numpy as np
import pytest

from crypto_pipeline.contract import json_schema
from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.predictions import live
from crypto_pipeline.predictions.losses import band_loss, qlike
from crypto_pipeline.predictions.schema import FORECASTS, SCORES
from crypto_pipeline.stages import PREDICTIONS
from crypto_pipeline.stages import VOLATILITY as MEASURED
from crypto_pipeline_tests.builders import AT, BTC, ETH, MINUTE, SOURCE, Row, frame, put, read

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

# The last known minute of this origin ends at a multiple of five minutes.
ORIGIN = AT - MINUTE


def came(at_minutes: int, variance: float | None, close: str, symbol: str = BTC) -> Row:
    at = ORIGIN + at_minutes * MINUTE
    return {
        "source": SOURCE, "symbol": symbol, "minute_at": at, "close": Decimal(close),
        "variance_5m": variance, "date": at.date(), "batch": 1,
    }  # fmt: skip


def said(
    model: str, variance: float, *, at: int = 0, symbol: str = BTC, served: bool = False
) -> Row:
    origin = ORIGIN + at * MINUTE
    half = 1.6448536269514722 * math.sqrt(variance)
    return {
        "source": SOURCE, "symbol": symbol, "origin_at": origin, "horizon_minutes": 5,
        "target_at": origin + 5 * MINUTE, "id": f"{model}{origin}{symbol}", "model": model,
        "model_version": "1", "is_served": served, "close": Decimal(100), "variance": variance,
        "return_low": -half, "return_high": half, "date": origin.date(), "batch": 1,
    }  # fmt: skip


def losses(spark: SparkSession, forecasts: list[Row], minutes: list[Row]) -> list[Row]:
    found = live.realised(frame(spark, FORECASTS, forecasts), frame(spark, VOLATILITY, minutes))
    return read(found, order=("symbol", "origin_at", "model"))


def test_a_forecast_is_joined_with_its_own_minutes_and_scored(spark: SparkSession) -> None:
    minutes = [came(0, None, "100"), came(1, None, "100.001"), came(5, 4e-6, "100.5")]
    (ewma, last) = losses(spark, [said("ewma", 1e-6), said("persistence", 1e-30)], minutes)
    realised, forecast, r = np.array([4e-6]), np.array([1e-6]), np.array([math.log(1.005)])
    half = 1.6448536269514722 * 1e-3
    assert ewma["qlike"] == pytest.approx(float(qlike(realised, forecast)[0]), rel=1e-8)
    assert ewma["log_error"] == pytest.approx(math.log(4) ** 2, rel=1e-8)
    expected = band_loss(r, np.array([-half]), np.zeros(1), np.array([half]))
    assert ewma["pinball"] == pytest.approx(float(expected[0]), rel=1e-8)
    assert ewma["inside"] == 0.0
    # Half of the step of 0.001 over 100, squared, times five minutes.
    floor = np.array([(0.0005 / 100) ** 2 * 5])
    assert last["qlike"] == pytest.approx(float(qlike(realised, floor)[0]), rel=1e-8)


def test_a_missing_minute_or_a_silent_model_gives_no_loss(spark: SparkSession) -> None:
    minutes = [
        *(came(0, None, "100"), came(5, 4e-6, "101"), came(10, None, "100")),
        *(came(15, 4e-6, "102"), came(5, 4e-6, "7", ETH)),
    ]
    forecasts = [
        *(said("ewma", 1e-6), said("persistence", 1e-6)),
        *(said("ewma", 1e-6, at=5), said("persistence", 1e-6, at=5)),
        said("ewma", 1e-6, at=10),
        *(said("ewma", 1e-6, at=3), said("persistence", 1e-6, at=3)),
        *(said("ewma", 1e-6, symbol=ETH), said("persistence", 1e-6, symbol=ETH)),
    ]
    found = losses(spark, forecasts, minutes)
    # The second lacks minutes, the third a model, the fourth is between origins; ETH never moved.
    assert [(r["symbol"], r["model"]) for r in found] == [(BTC, "ewma"), (BTC, "persistence")]


def fill(lake: Lake, *, origins: int, good: float) -> None:
    random = np.random.default_rng(5)
    minutes, forecasts = [came(0, 1e-6, "100")], []
    for k in range(origins):
        at, variance = 5 * k, float(random.chisquare(5)) * 2e-7
        minutes.append(came(at + 5, variance, f"100.00{k % 3}"))
        forecasts += [
            said("har_pooled", good, at=at, served=True),
            said("ewma", 1e-6 * float(np.exp(random.normal(0, 1.5))), at=at),
            said("persistence", 1e-9, at=at),
        ]
    put(lake, MEASURED, {VOLATILITY: minutes})
    put(lake, PREDICTIONS, {FORECASTS: forecasts})


def test_the_scoreboard_moves_once_an_hour_and_says_who_is_better(lake: Lake) -> None:
    fill(lake, origins=60, good=1e-6)
    now = ORIGIN + 300 * MINUTE
    first = live.score(lake, market_now=now)
    assert first.rows == 3
    jsonschema.validate(first.horizons, json_schema.horizons_schema())
    (five,) = [h for h in first.horizons if h["horizon_minutes"] == 5]
    assert (five["served"], five["baseline"], five["drift"]) == ("har_pooled", "ewma", "none")
    by_model = {s["model"]: s for s in five["live"]}
    assert by_model["har_pooled"]["origins"] == 60
    assert by_model["har_pooled"]["dm_statistic"] < 0
    assert by_model["har_pooled"]["p_value"] < 0.05

    soon = live.score(lake, market_now=now + timedelta(minutes=59))
    assert (soon.rows, soon.horizons) == (0, first.horizons)
    assert live.newest_reports(lake) == first.horizons
    later = live.score(lake, market_now=now + timedelta(minutes=60))
    assert later.rows == 3
    rows = read(lake.read(SCORES), "model", "origins", "batch", order=("batch", "model"))
    assert [r["batch"] for r in rows] == [1, 1, 1, 2, 2, 2]


def test_a_model_that_a_formula_beats_is_drifting(lake: Lake) -> None:
    fill(lake, origins=60, good=3e-5)
    done = live.score(lake, market_now=ORIGIN + 300 * MINUTE)
    (five,) = [h for h in done.horizons if h["horizon_minutes"] == 5]
    assert five["drift"] == "drifting"
    assert "against ewma" in five["drift_reason"]
