"""What was forecast, joined with what came: losses, common origins, a scoreboard that moves."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import jsonschema
import numpy as np
import pytest

from crypto_pipeline.contract import json_schema
from crypto_pipeline.errors import LakeError
from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.predictions import gate, live, realised
from crypto_pipeline.predictions.losses import band_loss, qlike
from crypto_pipeline.predictions.schema import FORECASTS, GATES, SCORES
from crypto_pipeline.stages import PREDICTIONS
from crypto_pipeline.stages import VOLATILITY as MEASURED
from crypto_pipeline_tests.builders import AT, BTC, ETH, MINUTE, SOURCE, Row, frame, put, read

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

# The last known minute of this origin ends at a multiple of five minutes.
ORIGIN = AT - MINUTE


def came(after: int, variance: float | None, close: str, symbol: str = BTC) -> Row:
    at = ORIGIN + after * MINUTE
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
    found = realised.losses(frame(spark, FORECASTS, forecasts), frame(spark, VOLATILITY, minutes))
    return read(found, order=("symbol", "origin_at", "model"))


def test_a_forecast_is_joined_with_its_own_minutes_and_scored(spark: SparkSession) -> None:
    minutes = [came(0, None, "100"), came(1, None, "100.001"), came(5, 4e-6, "100.5")]
    (ewma, still) = losses(spark, [said("ewma", 1e-6), said("persistence", 0.0)], minutes)
    came_variance, forecast, r = np.array([4e-6]), np.array([1e-6]), np.array([math.log(1.005)])
    half = 1.6448536269514722 * 1e-3
    assert ewma["qlike"] == pytest.approx(float(qlike(came_variance, forecast)[0]), rel=1e-8)
    assert ewma["log_error"] == pytest.approx(math.log(4) ** 2, rel=1e-8)
    expected = band_loss(r, np.array([-half]), np.zeros(1), np.array([half]))
    assert ewma["pinball"] == pytest.approx(float(expected[0]), rel=1e-8)
    assert ewma["inside"] == 0
    # Half of the step of 0.001 over 100, squared, times five minutes.
    floor = np.array([(0.0005 / 100) ** 2 * 5])
    assert still["qlike"] == pytest.approx(float(qlike(came_variance, floor)[0]), rel=1e-8)


def test_a_missing_minute_or_a_silent_model_gives_no_loss(spark: SparkSession) -> None:
    minutes = [
        *(came(0, None, "100"), came(5, 4e-6, "101"), came(10, None, "100")),
        *(came(8, 4e-6, "102"), came(5, 4e-6, "7", ETH), came(5, 1e-6, "8", "THIN-USDT")),
        came(4, 1e-6, "9", "THIN-USDT"),
    ]
    forecasts = [
        *(said("ewma", 1e-6), said("persistence", 1e-6)),
        *(said("ewma", 1e-6, at=5), said("persistence", 1e-6, at=5)),
        *(said("ewma", 1e-6, at=3), said("persistence", 1e-6, at=3)),
        *(said("ewma", 1e-6, symbol=ETH), said("persistence", 1e-6, symbol=ETH)),
        said("ewma", 1e-6, symbol="THIN-USDT"),
    ]
    found = losses(spark, forecasts, minutes)
    # The second lacks minutes, the third is between origins, ETH never moved, the last lacks
    # a model that spoke of another symbol.
    assert [(r["symbol"], r["model"]) for r in found] == [(BTC, "ewma"), (BTC, "persistence")]


def fill(lake: Lake, *, origins: int, own: float) -> None:
    random = np.random.default_rng(5)
    minutes, forecasts = [came(0, 1e-6, "100")], []
    for k in range(origins):
        at, variance = 5 * k, float(random.chisquare(5)) * 2e-7
        minutes.append(came(at + 5, variance, f"100.00{k % 3}"))
        forecasts += [
            said("blend_pooled", own, at=at),
            said("ewma", 1e-6 * float(np.exp(random.normal(0, 1.5))), at=at, served=True),
            said("persistence", 1e-9, at=at),
        ]
    put(lake, MEASURED, {VOLATILITY: minutes})
    put(lake, PREDICTIONS, {FORECASTS: forecasts})


def test_the_scoreboard_moves_with_what_came_and_the_gate_decides(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "FEWEST_ORIGINS", 40)
    fill(lake, origins=60, own=1e-6)
    half_way = ORIGIN + 150 * MINUTE + live.SETTLED
    first = live.score(lake, market_now=half_way)
    # Each over all symbols, over its regime and of its symbol.
    assert first.rows == 30 * 3 * 3
    jsonschema.validate(first.horizons, json_schema.horizons_schema())
    assert [h["served"] for h in first.horizons] == ["ewma"] * 3
    again = live.score(lake, market_now=half_way + 4 * MINUTE)
    assert (again.rows, again.horizons) == (0, first.horizons)

    second = live.score(lake, market_now=half_way + 150 * MINUTE)
    assert second.rows == 30 * 3 * 3
    (five,) = [h for h in second.horizons if h["horizon_minutes"] == 5]
    assert (five["champion"], five["baseline"]) == ("blend_pooled", "ewma")
    # It has won, and nothing was ever fitted in this lake.
    assert five["served"] is None
    assert {s["model"]: s["origins"] for s in five["live"]} == {
        "blend_pooled": 60, "ewma": 60, "persistence": 60,
    }  # fmt: skip
    assert live.newest_reports(lake) == second.horizons
    decided = read(lake.read(GATES), "champion", "batch", order=("decided_at", "horizon_minutes"))
    assert [(d["champion"], d["batch"]) for d in decided] == [
        *[(None, 1)] * 3, ("blend_pooled", 2), (None, 2), (None, 2),
    ]  # fmt: skip
    kept = read(lake.read(SCORES), order=("origin_at", "model"))
    assert len({(r["origin_at"], r["model"], r["scope"]) for r in kept}) == len(kept) == 540
    assert {r["served"] for r in kept if r["model"] == "ewma"} == {1}


def test_nothing_new_scores_nothing_and_a_fit_is_put_in_place_by_hand(lake: Lake) -> None:
    with pytest.raises(LakeError, match="not decided"):
        live.pin(lake, None)
    fill(lake, origins=2, own=1e-6)
    now = ORIGIN + 10 * MINUTE + live.SETTLED
    assert live.score(lake, market_now=now).rows == 18
    fit = {"model_version": "old", "trained_through": (AT - timedelta(hours=1)).isoformat()}
    live.pin(lake, fit)
    # What an hour brings is no outcome of a forecast, and the gate is asked again.
    later = live.score(lake, market_now=now + timedelta(hours=1))
    assert later.rows == 0
    assert {h["trained_through"] for h in later.horizons} == {"2026-11-23T09:05:00.000000Z"}
    again = live.score(lake, market_now=now + timedelta(hours=1))
    assert again.reason.startswith("no outcome")
    live.pin(lake, None)
    rows = read(lake.read(GATES), "pinned_version", "batch", order=("decided_at",))
    assert [r["pinned_version"] for r in rows[::3]] == [None, "old", "old", None]
    assert [r["batch"] for r in rows[::3]] == [1, 2, 3, 4]
    assert lake.read(SCORES).count() == 18


def test_losses_are_kept_of_all_of_each_regime_and_of_few_symbols(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(symbol: str, hour: float) -> Row:
        day = {"variance_60m": hour * 1e-6, "variance_24h": 24e-6}
        return came(0, None, "100", symbol) | day

    symbols = {BTC: 1.0, ETH: 2.0, "CALM-USDT": 0.5, "NEW-USDT": 0.0}
    starts = [start(symbol, hour) for symbol, hour in symbols.items()]
    starts[3]["variance_24h"] = None
    ends = [came(5, 4e-6, "101", symbol) for symbol in symbols]
    forecasts = [said("ewma", 1e-6 * n, symbol=s) for n, s in enumerate(symbols, start=1)]

    def scopes() -> dict[str, int]:
        found = realised.losses(
            frame(spark, FORECASTS, forecasts), frame(spark, VOLATILITY, [*starts, *ends])
        )
        return {r["scope"]: r["forecasts"] for r in realised.by_origin(found).collect()}

    whole = {"all": 4, "regime:calm": 1, "regime:usual": 2, "regime:wild": 1}
    assert scopes() == whole | {f"symbol:{SOURCE}:{symbol}": 1 for symbol in symbols}
    monkeypatch.setattr(realised, "NAMED_SYMBOLS", 3)
    assert scopes() == whole
