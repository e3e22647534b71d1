"""What each model says of a minute, and who serves when an input or a fit is missing."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.predictions import recipe, transform
from crypto_pipeline.predictions.fit import Fit, described
from crypto_pipeline.predictions.schema import FORECASTS, GATES, HORIZONS, MODELS
from crypto_pipeline_tests.builders import AT, BTC, ETH, MINUTE, SOURCE, Given, Row, read

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

MINUTES = {"variance_5m": 5, "variance_15m": 15, "variance_60m": 60, "variance_24h": 1440}


def minute(back: int = 0, *, symbol: str = BTC, level: float = 1e-6, **changes: object) -> Row:
    at = AT - back * MINUTE
    return {
        "source": SOURCE,
        "symbol": symbol,
        "minute_at": at,
        "close": Decimal(100),
        "origin": "exchange",
        **{name: level * minutes for name, minutes in MINUTES.items()},
        "ewma": math.sqrt(level * 525_600),
        "date": at.date(),
        "batch": 2,
        **changes,
    }


LEVEL = -1.5
BAND = 1.7
FITTED = "2026-11-23T04:00:00.000000Z"


def models(
    *, version: str = FITTED, age: timedelta = timedelta(hours=6), intercept: float = LEVEL
) -> dict[str, Any]:
    """What the commit of a training says that ended so long before the origin."""
    weights = {"intercept": intercept, "variance_5m": 0.2, "variance_60m": 0.3, "variance_24h": 0.4}
    fits = [
        Fit(
            model=model,
            horizon_minutes=horizon,
            weights=tuple(weights.get(name, 0.0) for name in recipe.TERMS),
            band=BAND,
            residual_variance=0.5,
            rows=1000,
            trained_from=AT - timedelta(days=1),
            trained_through=AT - age,
        )
        for horizon in HORIZONS
        for model in recipe.LIVE_FITTED
    ]
    return {"model_version": version, "fits": [described(fit) for fit in fits]}


def gates(
    champion: str | None = "blend_pooled",
    *,
    baseline: str = "ewma",
    pinned: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What the commit of a decision says: the same for every horizon."""
    verdicts = [
        {"horizon_minutes": horizon, "champion": champion, "baseline": baseline}
        for horizon in HORIZONS
    ]
    return {"verdicts": verdicts, "pinned": pinned}


def said(
    spark: SparkSession,
    *rows: Row,
    fitted: dict[str, Any] | None = None,
    known: list[Row] | None = None,
    decided: dict[str, Any] | None = None,
    before: datetime | None = None,
) -> list[Row]:
    given = Given(spark)(
        new={VOLATILITY: rows},
        known={FORECASTS: known or []},
        before={VOLATILITY: before} if before else {},
        last={t: ranges for t, ranges in ((MODELS, fitted), (GATES, decided)) if ranges},
    )
    result = transform.run(given)
    found = read(result.outputs[FORECASTS.key], order=("symbol", "horizon_minutes", "model"))
    for cached in result.cached:
        cached.unpersist()
    return found


def served(rows: list[Row]) -> dict[int, str]:
    return {r["horizon_minutes"]: r["model"] for r in rows if r["is_served"]}


def test_with_a_fit_every_model_speaks_and_the_champion_is_served(spark: SparkSession) -> None:
    level = 2e-6
    rows = said(spark, minute(level=level), fitted=models(), decided=gates())
    log_level = LEVEL + 0.9 * math.log(level)
    variance = {(r["model"], r["horizon_minutes"]): r["variance"] for r in rows}
    assert len(rows) == 12
    for horizon in HORIZONS:
        assert variance["persistence", horizon] == pytest.approx(level * horizon)
        assert variance["ewma", horizon] == pytest.approx(level * horizon)
        for model in recipe.LIVE_FITTED:
            assert variance[model, horizon] == pytest.approx(math.exp(log_level) * horizon)
    assert {r["model"] for r in rows if r["is_served"]} == {"blend_pooled"}
    assert sum(r["is_served"] for r in rows) == 3
    assert {r["model_version"] for r in rows if r["is_served"]} == {FITTED}
    for row in rows:
        width = BAND if row["model"] in recipe.LIVE_FITTED else recipe.NORMAL_95
        assert row["return_high"] == -row["return_low"]
        assert row["return_high"] == pytest.approx(width * math.sqrt(row["variance"]))


def test_a_fit_that_has_not_won_is_scored_and_not_served(spark: SparkSession) -> None:
    young = said(spark, minute(), fitted=models())
    assert len(young) == 12
    assert served(young) == dict.fromkeys(HORIZONS, "ewma")
    lost = said(spark, minute(), fitted=models(), decided=gates(None, baseline="persistence"))
    assert served(lost) == dict.fromkeys(HORIZONS, "persistence")
    fitted = said(spark, minute(), fitted=models(), decided=gates(None, baseline="har_pooled"))
    assert served(fitted) == dict.fromkeys(HORIZONS, "har_pooled")


def test_a_fit_put_in_place_by_hand_speaks_instead_of_the_newest(spark: SparkSession) -> None:
    newest = models(version="2026-11-23T10:00:00.000000Z", intercept=0.0)

    def version(decided: dict[str, Any]) -> set[str]:
        rows = said(spark, minute(), fitted=newest, decided=decided)
        return {r["model_version"] for r in rows if r["model"] == "blend_pooled" and r["is_served"]}

    assert version(gates(pinned=models())) == {FITTED}
    assert version(gates()) == {newest["model_version"]}


@pytest.mark.parametrize("age", [timedelta(hours=24, minutes=1), None])
def test_a_champion_without_a_fresh_fit_leaves_no_forecast_to_show(
    spark: SparkSession, age: timedelta | None
) -> None:
    old = models(age=age) if age else None
    rows = said(spark, minute(), fitted=old, decided=gates())
    assert served(rows) == {}
    assert {r["model"] for r in rows} == {"ewma", "persistence"}
    fresh = said(spark, minute(), fitted=old, decided=gates(None))
    assert served(fresh) == dict.fromkeys(HORIZONS, "ewma")


def test_a_fit_says_nothing_of_an_origin_within_its_own_training(spark: SparkSession) -> None:
    rows = said(spark, minute(), fitted=models(age=-MINUTE), decided=gates())
    assert {r["model"] for r in rows} == {"ewma", "persistence"}
    assert served(rows) == {}
    # In the cycle that fits, the last label ends with the newest minute, which is the origin.
    rows = said(spark, minute(), fitted=models(age=timedelta(0)), decided=gates())
    assert served(rows) == dict.fromkeys(HORIZONS, "blend_pooled")


def test_a_row_names_its_origin_target_band_and_inputs(spark: SparkSession) -> None:
    (row,) = [
        r
        for r in said(spark, minute(level=1e-6))
        if (r["model"], r["horizon_minutes"]) == ("ewma", 60)
    ]
    assert row["origin_at"] == "2026-11-23T10:05:00.000000Z"
    assert row["target_at"] == "2026-11-23T11:05:00.000000Z"
    assert row["volatility"] == pytest.approx(math.sqrt(1e-6 * 525_600))
    assert row["return_high"] == -row["return_low"] == pytest.approx(1.6448536 * math.sqrt(6e-5))
    assert (row["input_batch"], row["origin_kind"]) == (2, "exchange")


def test_a_coin_that_starts_today_has_a_fitted_forecast_by_what_there_is(
    spark: SparkSession,
) -> None:
    fresh = minute(variance_24h=None, variance_60m=None, level=2e-6)
    rows = said(spark, fresh, fitted=models(), decided=gates())
    assert served(rows) == dict.fromkeys(HORIZONS, "blend_pooled")
    # The average stands in for the hour and the day.
    expected = math.exp(LEVEL + 0.9 * math.log(2e-6))
    for row in rows:
        if row["is_served"]:
            assert row["variance"] == pytest.approx(expected * row["horizon_minutes"])
    lost = said(spark, minute(ewma=None), fitted=models(), decided=gates())
    assert served(lost) == dict.fromkeys(HORIZONS, "persistence")


def test_a_coin_without_any_measure_has_no_forecast(spark: SparkSession) -> None:
    nothing = dict.fromkeys(MINUTES) | {"ewma": None}
    rows = said(spark, minute(symbol=ETH, **nothing), minute(), fitted=models())
    assert {r["symbol"] for r in rows} == {BTC}


def test_only_the_newest_minute_is_an_origin_and_only_once(spark: SparkSession) -> None:
    first = said(spark, minute(1), minute(0))
    assert {r["origin_at"] for r in first} == {"2026-11-23T10:05:00.000000Z"}
    known = {"source": SOURCE, "symbol": BTC, "origin_at": AT, "date": AT.date(), "batch": 1}
    assert said(spark, minute(1), minute(0), known=[known]) == []
    # A minute that was read before is looked up, be it alone and the newest.
    assert said(spark, minute(0), known=[known], before=AT) == []


def test_a_minute_after_all_others_is_forecast_as_any_other(spark: SparkSession) -> None:
    rows = [minute(), minute(symbol=ETH, variance_24h=None, level=3e-6)]
    short = said(spark, *rows, fitted=models(), decided=gates(), before=AT - MINUTE)
    long = said(spark, *rows, fitted=models(), decided=gates())
    assert len(short) == 24
    assert short == long


def test_a_halted_coin_has_a_forecast_above_nothing(spark: SparkSession) -> None:
    still = minute(variance_5m=0.0, variance_15m=0.0, variance_60m=0.0, ewma=1e-9)
    rows = said(spark, still, fitted=models(), decided=gates())
    assert served(rows) == dict.fromkeys(HORIZONS, "blend_pooled")
    # A quiet minute counts as a hundredth of the day's, not as none.
    expected = math.exp(LEVEL + 0.5 * math.log(1e-8) + 0.4 * math.log(1e-6))
    for row in rows:
        if row["is_served"]:
            assert row["variance"] == pytest.approx(expected * row["horizon_minutes"])


# A constant price, a price of 1e-12, a 10,000-fold fall in one of five minutes, the greatest fall.
@pytest.mark.parametrize(
    ("level", "close"),
    [(0.0, "5"), (1e-6, "0.000000000001"), (84.8 / 5, "0.01"), (1700.0, "0.000000000001")],
)
def test_a_market_at_its_limits_has_a_finite_forecast(
    spark: SparkSession, level: float, close: str
) -> None:
    origin = minute(level=level, close=Decimal(close))
    rows = said(spark, origin, fitted=models(), decided=gates())
    assert len(rows) == 12
    assert served(rows) == dict.fromkeys(HORIZONS, "blend_pooled")
    for row in rows:
        numbers = [row[n] for n in ("variance", "volatility", "return_low", "return_high")]
        assert all(math.isfinite(number) for number in numbers)
        assert row["return_low"] <= 0 <= row["return_high"]
        assert row["variance"] > 0 or level == 0.0
