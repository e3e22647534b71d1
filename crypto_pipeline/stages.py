"""The pipeline on one screen, in the order of the data."""

from __future__ import annotations

from crypto_pipeline.bronze import schema as bronze
from crypto_pipeline.bronze import transform as bronze_transform
from crypto_pipeline.contract.topic import INGESTED
from crypto_pipeline.gold import candles, summary, volatility
from crypto_pipeline.gold import schema as gold
from crypto_pipeline.lake.table import Table
from crypto_pipeline.predictions import schema as predictions
from crypto_pipeline.predictions import transform as predictions_transform
from crypto_pipeline.raw import schema as raw
from crypto_pipeline.raw import transform as raw_transform
from crypto_pipeline.silver import schema as silver
from crypto_pipeline.silver import transform as silver_transform
from crypto_pipeline.stage import Stage

RAW = Stage(
    name="raw",
    topics=INGESTED,
    reads=(),
    run=raw_transform.run,
    primary=raw.RECORDS,
)
BRONZE = Stage(
    name="bronze",
    reads=(raw.RECORDS,),
    run=bronze_transform.run,
    sides=(bronze.POLLS, bronze.CANDLES, bronze.REJECTED),
    primary=bronze.TICKS,
)
SILVER = Stage(
    name="silver",
    reads=(bronze.TICKS, bronze.CANDLES, bronze.POLLS),
    run=silver_transform.run,
    sides=(silver.CANDLES, silver.SET_ASIDE, silver.GAPS),
    primary=silver.TICKS,
)
CANDLES = Stage(
    name="candles",
    reads=(silver.TICKS, silver.CANDLES),
    holds_back=True,
    run=candles.run,
    primary=gold.CANDLES_1M,
)
VOLATILITY = Stage(
    name="volatility",
    reads=(gold.CANDLES_1M,),
    run=volatility.run,
    primary=gold.VOLATILITY,
)
SUMMARY = Stage(
    name="summary",
    reads=(gold.VOLATILITY,),
    run=summary.run,
    primary=gold.MARKET_SUMMARY,
)
PREDICTIONS = Stage(
    name="predictions",
    reads=(gold.VOLATILITY,),
    run=predictions_transform.run,
    primary=predictions.FORECASTS,
)

STAGES = (RAW, BRONZE, SILVER, CANDLES, VOLATILITY, SUMMARY, PREDICTIONS)
TABLES: tuple[Table, ...] = (
    *(table for stage in STAGES for table in stage.outputs),
    predictions.MODELS,
    predictions.SCORES,
    predictions.GATES,
)
