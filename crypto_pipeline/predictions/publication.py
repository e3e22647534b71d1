"""predictions/forecasts as records of `market.forecasts`; what has passed is counted, not sent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyspark.sql import functions as F

from crypto_pipeline.contract.message import SCHEMA_VERSION
from crypto_pipeline.gold.publication import plain_text, utc_text
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.predictions.recipe import LIVE_FITTED
from crypto_pipeline.predictions.schema import FORECASTS


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastRecords:
    records: list[dict[str, Any]]
    passed: int


def forecast_records(
    lake: Lake, *, after_batch: int, to_batch: int, market_now: datetime
) -> ForecastRecords:
    """Forecasts of the batches in (after, to]; one whose target has passed is counted."""
    found = (
        lake.increment(FORECASTS, after=after_batch, to=to_batch)
        .select(
            "id",
            "source",
            "symbol",
            utc_text("origin_at").alias("origin_at"),
            utc_text("target_at").alias("target_at"),
            *("horizon_minutes", "model", "model_version", "is_served"),
            F.col("close").cast("string").alias("price"),
            *("variance", "volatility", "return_low", "return_high", "batch"),
            (F.col("target_at") < F.lit(market_now)).alias("has_passed"),
        )
        .orderBy("batch", "origin_at", "symbol", "horizon_minutes", "model")
        .collect()
    )
    rows = [row.asDict() for row in found]
    alive = [row for row in rows if not row.pop("has_passed")]
    return ForecastRecords(
        records=[_record(row, lake) for row in alive], passed=len(rows) - len(alive)
    )


def _record(row: dict[str, Any], lake: Lake) -> dict[str, Any]:
    close = float(row["price"])
    row["price"] = plain_text(row["price"])
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "forecast",
        "market": lake.market,
        **row,
        "pooled": row["model"] in LIVE_FITTED,
        "price_low": close * math.exp(row["return_low"]),
        "price_high": close * math.exp(row["return_high"]),
    }
