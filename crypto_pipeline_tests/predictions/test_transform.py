"""The fit against ordinary least squares, and who serves when an input is missing."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.predictions import har, transform
from crypto_pipeline.predictions.schema import FORECASTS, GATES, HORIZONS, MODELS
from crypto_pipeline_tests.builders import AT, BTC, ETH, MINUTE, SOURCE, Given, Row, frame, read

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


def history(count: int, *, seed: int) -> list[Row]:
    chance = random.Random(seed)
    return [
        minute(back, **{n: chance.lognormvariate(-12, 1) * m for n, m in MINUTES.items()})
        for back in range(count)
    ]


LEVEL = -1.5
FITTED = "2026-11-23T04:00:00.000000Z"


def models(
    *, version: str = FITTED, age: timedelta = timedelta(hours=6), intercept: float = LEVEL
) -> dict[str, Any]:
    """What the commit of a training says that ended so long before the origin."""
    fits = [
        har.Fit(
            horizon_minutes=horizon,
            intercept=intercept,
            weights=(0.2, 0.3, 0.4),
            residual_variance=0.5,
            rows=1000,
            trained_from=AT - timedelta(days=1),
            trained_through=AT - age,
        )
        for horizon in HORIZONS
    ]
    return {"model_version": version, "fits": [har.described(fit) for fit in fits]}


def gates(
    champion: str | None = "har_pooled",
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


@pytest.mark.parametrize("horizon", [5, 60])
def test_the_fit_is_ordinary_least_squares_on_logs(spark: SparkSession, horizon: int) -> None:
    rows = history(400, seed=horizon)
    fit = har.fit(frame(spark, VOLATILITY, rows), horizon=horizon)
    by_time = {row["minute_at"]: row for row in rows}
    label = {5: "variance_5m", 60: "variance_60m"}[horizon]

    def log(row: Row, name: str) -> float:
        return math.log(row[name] / MINUTES[name] + 1e-10)

    pairs = [
        (row, by_time[at + horizon * MINUTE])
        for at, row in by_time.items()
        if at + horizon * MINUTE in by_time
    ]
    x = np.array(
        [[1.0, *(log(r, n) for n in ("variance_5m", "variance_60m", "variance_24h"))]
         for r, _ in pairs]
    )  # fmt: skip
    y = np.array([log(after, label) for _, after in pairs])
    beta, *_ = np.linalg.lstsq(x, y, rcond=None)
    assert fit is not None
    assert fit.rows == len(pairs) == 400 - horizon
    assert (fit.intercept, *fit.weights) == pytest.approx(tuple(beta), rel=1e-8)
    assert fit.residual_variance == pytest.approx(float(np.var(y - x @ beta)), rel=1e-8)
    assert fit.trained_through == AT


def test_too_few_rows_give_no_fit(spark: SparkSession) -> None:
    assert har.fit(frame(spark, VOLATILITY, history(90, seed=1)), horizon=5) is None


def test_a_missing_minute_gives_no_label(spark: SparkSession) -> None:
    rows = [minute(back) for back in range(20)]
    rows[3]["variance_5m"] = None
    labelled = har.training_rows(frame(spark, VOLATILITY, rows), horizon=5).collect()
    # The label of the origin 8 minutes back would end at the missing minute.
    assert len(labelled) == len([back for back in range(5, 20) if back != 8])


def served(rows: list[Row]) -> dict[int, str]:
    return {r["horizon_minutes"]: r["model"] for r in rows if r["is_served"]}


def test_with_a_fit_every_model_speaks_and_the_champion_is_served(spark: SparkSession) -> None:
    level = 2e-6
    rows = said(spark, minute(level=level), fitted=models(), decided=gates())
    log_level = -1.5 + 0.9 * math.log(level + 1e-10) + 0.25
    variance = {(r["model"], r["horizon_minutes"]): r["variance"] for r in rows}
    assert len(rows) == 9
    for horizon in (5, 15, 60):
        assert variance["persistence", horizon] == pytest.approx(level * horizon)
        assert variance["ewma", horizon] == pytest.approx(level * horizon)
        assert variance["har_pooled", horizon] == pytest.approx(math.exp(log_level) * horizon)
    assert {r["model"] for r in rows if r["is_served"]} == {"har_pooled"}
    assert sum(r["is_served"] for r in rows) == 3
    assert {r["model_version"] for r in rows if r["is_served"]} == {FITTED}


def test_a_fit_that_has_not_won_is_scored_and_not_served(spark: SparkSession) -> None:
    young = said(spark, minute(), fitted=models())
    assert len(young) == 9
    assert served(young) == dict.fromkeys(HORIZONS, "ewma")
    lost = said(spark, minute(), fitted=models(), decided=gates(None, baseline="persistence"))
    assert served(lost) == dict.fromkeys(HORIZONS, "persistence")


def test_a_fit_put_in_place_by_hand_speaks_instead_of_the_newest(spark: SparkSession) -> None:
    newest = models(version="2026-11-23T10:00:00.000000Z", intercept=0.0)

    def version(decided: dict[str, Any]) -> set[str]:
        rows = said(spark, minute(), fitted=newest, decided=decided)
        return {r["model_version"] for r in rows if r["model"] == "har_pooled" and r["is_served"]}

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


def test_without_a_day_of_minutes_the_average_serves(spark: SparkSession) -> None:
    rows = said(spark, minute(variance_24h=None), fitted=models(), decided=gates())
    assert {r["model"] for r in rows} == {"ewma", "persistence"}
    assert {r["model"] for r in rows if r["is_served"]} == {"ewma"}


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
    assert len(short) == 15
    assert short == long


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
    assert len(rows) == 9
    assert served(rows) == dict.fromkeys(HORIZONS, "har_pooled")
    for row in rows:
        numbers = [row[n] for n in ("variance", "volatility", "return_low", "return_high")]
        assert all(math.isfinite(number) for number in numbers)
        assert row["return_low"] <= 0 <= row["return_high"]
        assert row["variance"] > 0 or level == 0.0
