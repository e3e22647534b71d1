"""predictions/forecasts as records of `market.forecasts`: those whose target is still to come."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from crypto_pipeline.contract.message import SCHEMA_VERSION, format_time
from crypto_pipeline.gold.publication import decimal_text
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.told import batches_told
from crypto_pipeline.predictions.recipe import LIVE_FITTED
from crypto_pipeline.predictions.schema import FORECASTS, HORIZONS

COLUMNS = (
    "id", "source", "symbol", "origin_at", "target_at", "horizon_minutes", "model",
    "model_version", "is_served", "close", "variance", "volatility", "return_low", "return_high",
    "batch",
)  # fmt: skip
LONGEST = timedelta(minutes=max(HORIZONS))
ORDER = ("batch", "origin_at", "symbol", "horizon_minutes", "model")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastRecords:
    """`passed` are those of the last hour whose target has passed: older ones are not read."""

    records: list[dict[str, Any]]
    passed: int


def forecast_records(
    lake: Lake, *, after_batch: int, to_batch: int, market_now: datetime
) -> ForecastRecords:
    """Forecasts of the batches in (after, to] whose target has not passed.

    An origin further back than the longest horizon has none, so a topic that shows nothing costs
    no look at the whole table.
    """
    rows = batches_told(
        lake, FORECASTS, COLUMNS, after=after_batch, to=to_batch, since=market_now - LONGEST
    )
    alive = [row for row in rows if row["target_at"] >= market_now]
    alive.sort(key=lambda row: tuple(row[name] for name in ORDER))
    return ForecastRecords(
        records=[_record(row, lake) for row in alive], passed=len(rows) - len(alive)
    )


def _record(row: dict[str, Any], lake: Lake) -> dict[str, Any]:
    price = row.pop("close")
    close = float(price)
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "forecast",
        "market": lake.market,
        **row,
        **{name: format_time(row[name]) for name in ("origin_at", "target_at")},
        "price": decimal_text(price),
        "pooled": row["model"] in LIVE_FITTED,
        "price_low": close * math.exp(row["return_low"]),
        "price_high": close * math.exp(row["return_high"]),
    }
