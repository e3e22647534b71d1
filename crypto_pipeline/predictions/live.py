"""What the lake forecast, joined with what came: the live scores, written once an hour."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pyspark.sql import Window
from pyspark.sql import functions as F

from crypto_pipeline.contract.message import format_time
from crypto_pipeline.contract.report import HorizonReport, ModelScore
from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.lake import log
from crypto_pipeline.lake.commit import Write, commit
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.predictions.inputs import ORIGIN_STEP
from crypto_pipeline.predictions.losses import HIGH, LOW
from crypto_pipeline.predictions.schema import FORECASTS, HORIZONS, SCORES
from crypto_pipeline.predictions.significance import diebold_mariano, newey_west_lag
from crypto_pipeline.predictions.transform import SERVING_ORDER
from crypto_pipeline.version import VERSION

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

EVERY = timedelta(hours=1)
WINDOW = timedelta(hours=24)
FORMULAS = ("persistence", "ewma")
SIGNIFICANT = 0.05
KEY = ("source", "symbol", "origin_at", "horizon_minutes")


@dataclass(frozen=True, slots=True)
class Scoring:
    """Rows written and the reports they make; no rows and a reason when there was nothing."""

    rows: int
    horizons: list[HorizonReport]
    reason: str


def score(lake: Lake, *, market_now: datetime, force: bool = False) -> Scoring:
    """Score the forecasts of the last day whose horizon has passed; skip within the hour.

    `market_now` is the newest minute in gold, so that a replay is scored by its own clock.
    """
    lake.ensure(SCORES)
    last = log.last_commit(lake.path(SCORES))
    if last is not None and not force:
        at = datetime.fromisoformat(last.ranges["scored_at"])
        if timedelta(0) <= market_now - at < EVERY:
            return Scoring(0, last.ranges["horizons"], "scored within the hour")
    if log.open_table(lake.path(FORECASTS)) is None:
        return Scoring(0, [], "no forecast was made yet")
    since = market_now - WINDOW
    minutes = lake.read(VOLATILITY, since=since, until=market_now)
    said = lake.read(FORECASTS, since=since, until=market_now)
    found = realised(said, minutes).cache()
    table = summarise(found)
    found.unpersist()
    reports = [report(table, horizon) for horizon in HORIZONS]
    _keep(lake, table, reports, last=last, market_now=market_now)
    return Scoring(len(table), reports, "scored")


def newest_reports(lake: Lake) -> list[HorizonReport]:
    """The reports of the last scoring, read from the table's log alone."""
    last = log.last_commit(lake.path(SCORES))
    reports: list[HorizonReport] = [] if last is None else last.ranges["horizons"]
    return reports


def realised(forecasts: DataFrame, minutes: DataFrame) -> DataFrame:
    """Forecasts at multiples of 5 minutes with their losses, where every model spoke.

    A horizon that lacks a minute has no realised variance and is left out, never a zero. The
    floor is (half a price step ÷ price)² a minute, the step seen among the window's closes.
    """
    came = minutes.select(
        "source",
        "symbol",
        F.col("minute_at").alias("target_at"),
        F.col("close").cast("double").alias("price"),
        *(F.col(f"variance_{h}m").alias(f"came_{h}") for h in HORIZONS),
    )
    horizon = F.col("horizon_minutes")
    minute = (F.col("origin_at").cast("long") / 60).cast("long")
    is_origin = (minute + 1) % ORIGIN_STEP == 0
    y = F.coalesce(*(F.when(horizon == h, F.col(f"came_{h}")) for h in HORIZONS))
    joined = (
        forecasts.join(came, on=["source", "symbol", "target_at"], how="inner")
        .join(F.broadcast(price_steps(minutes)), on=["source", "symbol"], how="inner")
        .withColumn("first", F.col("close").cast("double"))
        .withColumn("floor", F.pow(0.5 * F.col("step") / F.col("first"), F.lit(2.0)) * horizon)
        .withColumn("y", F.greatest(y, F.col("floor")))
        .where(y.isNotNull() & is_origin)
        .withColumn("f", F.greatest("variance", "floor"))
        .withColumn("r", F.log(F.col("price") / F.col("first")))
    )
    ratio, inside = (
        F.col("y") / F.col("f"),
        F.col("r").between(F.col("return_low"), F.col("return_high")),
    )
    speaking = joined.groupBy(*KEY).agg(F.countDistinct("model").alias("speaking"))
    known = joined.groupBy("horizon_minutes").agg(F.countDistinct("model").alias("known"))
    common = speaking.join(F.broadcast(known), on="horizon_minutes").where(
        F.col("speaking") == F.col("known")
    )
    return joined.join(common.select(*KEY), on=list(KEY), how="left_semi").select(
        *(*KEY, "model", "model_version", "is_served"),
        (ratio - F.log(ratio) - 1).alias("qlike"),
        F.pow(F.log(ratio), F.lit(2.0)).alias("log_error"),
        (
            (
                _pinball(F.col("return_low"), LOW)
                + F.abs("r") / 2
                + _pinball(F.col("return_high"), HIGH)
            )
            / 3
        ).alias("pinball"),
        inside.cast("double").alias("inside"),
    )


def price_steps(minutes: DataFrame) -> DataFrame:
    """The smallest step between two closes of each symbol; one that never moved has no row."""
    order = Window.partitionBy("source", "symbol").orderBy("close")
    closes = minutes.select("source", "symbol", "close").distinct()
    steps = closes.withColumn("gap", (F.col("close") - F.lag("close").over(order)).cast("double"))
    return steps.where(F.col("gap") > 0).groupBy("source", "symbol").agg(F.min("gap").alias("step"))


def _pinball(quantile: Column, level: float) -> Column:
    miss = F.col("r") - quantile
    return F.greatest(level * miss, (level - 1) * miss)


def summarise(losses: DataFrame) -> pd.DataFrame:
    """One row a horizon and model: losses, and the test against the better formula."""
    whole: pd.DataFrame = (
        losses.groupBy("horizon_minutes", "model")
        .agg(
            F.count("*").alias("origins"),
            F.avg("qlike").alias("qlike"),
            F.percentile("qlike", 0.5).alias("median_qlike"),
            F.avg("log_error").alias("mse_log"),
            F.avg("pinball").alias("pinball"),
            F.avg("inside").alias("coverage"),
            F.min("origin_at").cast("double").alias("first"),
            F.max("origin_at").cast("double").alias("last"),
            F.max(F.when(F.col("is_served"), F.col("origin_at"))).cast("double").alias("served"),
            F.max_by("model_version", "origin_at").alias("model_version"),
        )
        .toPandas()
    )
    series: pd.DataFrame = (
        losses.groupBy("horizon_minutes", "model", F.col("origin_at").cast("double").alias("at"))
        .agg(F.avg("qlike").alias("qlike"))
        .toPandas()
    )
    whole["baseline"], whole["dm_statistic"], whole["p_value"] = None, math.nan, math.nan
    for horizon, part in whole.groupby("horizon_minutes"):
        formulas = part[part["model"].isin(FORMULAS)]
        if len(formulas) == 0:
            continue
        baseline = formulas.loc[formulas["qlike"].idxmin(), "model"]
        whole.loc[part.index, "baseline"] = baseline
        table = series[series["horizon_minutes"] == horizon].pivot(
            index="at", columns="model", values="qlike"
        )
        for place, model in part["model"].items():
            if model != baseline:
                difference = (table[model] - table[baseline]).sort_index().to_numpy(np.float64)
                ahead = math.ceil(int(horizon) / ORIGIN_STEP)
                lag = newey_west_lag(len(difference), ahead=ahead)
                test = diebold_mariano(difference, ahead=ahead, lag=lag)
                whole.loc[place, ["dm_statistic", "p_value"]] = [test.statistic, test.p_value]
    ranked: pd.DataFrame = whole.sort_values(["horizon_minutes", "qlike"]).reset_index(drop=True)
    return ranked


def report(table: pd.DataFrame, horizon: int) -> HorizonReport:
    """What the screen says of a horizon: who serves, why, and how its forecasts fared."""
    part = table[table["horizon_minutes"] == horizon]
    served = part.loc[part["served"].idxmax()] if part["served"].notna().any() else None
    drift, words = drift_of(part, served)
    return {
        "horizon_minutes": horizon,
        "served": None if served is None else str(served["model"]),
        "model_version": None if served is None else str(served["model_version"]),
        "champion": None,
        "baseline": None if len(part) == 0 else _text(part["baseline"].iloc[0]),
        "reason": f"The first of {', '.join(SERVING_ORDER)} that has its inputs serves: "
        "no challenger has been through the gate.",
        "trained_through": None,
        "window_from": None,
        "window_through": None,
        "scores": [],
        "live_from": _moment(part["first"].min()),
        "live_through": _moment(part["last"].max()),
        "live": [_score(row) for row in part.to_dict("records")],
        "drift": drift,
        "drift_reason": words,
    }


def drift_of(part: pd.DataFrame, served: pd.Series | None) -> tuple[Any, str]:
    """Drifting: over the last day a plain formula beat the served model beyond chance."""
    if served is None or served["model"] in FORMULAS or math.isnan(served["p_value"]):
        return "unknown", "A formula serves, or too few forecasts have come true."
    words = (
        f"{served['model']} {served['qlike']:.3f} against {served['baseline']} "
        f"{part.loc[part['model'] == served['baseline'], 'qlike'].iloc[0]:.3f}, "
        f"p = {served['p_value']:.2g}."
    )
    is_worse = served["dm_statistic"] > 0 and served["p_value"] < SIGNIFICANT
    return ("drifting" if is_worse else "none"), words


def _score(row: dict[Any, Any]) -> ModelScore:
    def number(name: str) -> float | None:
        return float(row[name]) if math.isfinite(row[name]) else None

    return {
        "model": row["model"],
        "origins": int(row["origins"]),
        "qlike": number("qlike"),
        "median_qlike": number("median_qlike"),
        "mse_log": number("mse_log"),
        "pinball": number("pinball"),
        "coverage": number("coverage"),
        "dm_statistic": number("dm_statistic"),
        "p_value": number("p_value"),
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _moment(seconds: float) -> str | None:
    if math.isnan(seconds):
        return None
    return format_time(_utc(seconds))


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)


def _keep(
    lake: Lake,
    table: pd.DataFrame,
    reports: Sequence[HorizonReport],
    *,
    last: CommitRecord | None,
    market_now: datetime,
) -> None:
    batch = 1 if last is None else last.batch + 1
    rows = [
        (
            market_now, int(row["horizon_minutes"]), row["model"], _utc(row["first"]),
            _utc(row["last"]), int(row["origins"]),
            *(_score(row)[name] for name in ("qlike", "median_qlike", "mse_log", "pinball",
                                             "coverage")),
            _text(row["baseline"]), _score(row)["dm_statistic"], _score(row)["p_value"], batch,
        )
        for row in table.to_dict("records")
    ]  # fmt: skip
    record = CommitRecord(
        stage="scores",
        batch=batch,
        write_id=str(uuid.uuid4()),
        ranges={"scored_at": market_now.isoformat(), "horizons": list(reports)},
        counts={"scores": len(rows)},
        outputs={},
        code_version=VERSION,
    )
    frame = lake.spark.createDataFrame(rows, SCORES.schema)
    commit(Write(path=lake.path(SCORES), rows=frame, row_count=len(rows)), record)
