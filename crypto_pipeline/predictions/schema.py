"""Predictions: the fitted models, and what they say."""

from __future__ import annotations

from pyspark.sql.types import BooleanType, IntegerType, StructType

from crypto_pipeline.gold.schema import INSTRUMENT, number
from crypto_pipeline.lake.table import BATCH, DATE, Table, column, moment, price, text, whole

HORIZONS = (5, 15, 60)

FORECASTS = Table(
    layer="predictions",
    name="forecasts",
    description="One source, symbol, origin, horizon and model: forecast variance and return band",
    schema=StructType(
        [
            *INSTRUMENT,
            moment("origin_at", "First instant of the last minute that the forecast knows, UTC"),
            column("horizon_minutes", IntegerType(), "Minutes ahead: 5, 15 or 60"),
            moment("target_at", "First instant of the last minute that it speaks of, UTC"),
            text("id", "Hash of source, symbol, origin, horizon, model and its version"),
            text("model", "persistence, ewma or har_pooled"),
            text(
                "model_version",
                "Version of the fitted model; the formula's own where none is fitted",
            ),
            column("is_served", BooleanType(), "The forecast to show"),
            price("close", "Close at the origin"),
            text("origin_kind", "Origin of the candle at the origin: exchange or sampled"),
            number("variance", "Forecast variance of the log return over the horizon"),
            number("volatility", "The same, annualised (525,600 minutes)"),
            number("return_low", "5 % quantile of the log return, normal"),
            number("return_high", "95 % quantile of the log return, normal"),
            whole("input_batch", "Batch of gold/volatility that the origin came from"),
            DATE,
            BATCH,
        ]
    ),
    keys=("source", "symbol", "origin_at", "horizon_minutes", "model", "model_version"),
    partition_by=("date",),
    write_mode="append",
    fact_column="origin_at",
)
MODELS = Table(
    layer="predictions",
    name="models",
    description="One fitted model and horizon: its coefficients and what it was fitted on",
    schema=StructType(
        [
            text("model", "har_pooled"),
            text("model_version", "Time of the fit, UTC"),
            column("horizon_minutes", IntegerType(), "Minutes ahead"),
            number("intercept", "Intercept, log variance a minute"),
            number("weight_5m", "Weight of the log variance a minute of 5 minutes"),
            number("weight_60m", "Weight of 60 minutes"),
            number("weight_24h", "Weight of 24 hours"),
            number(
                "residual_variance", "Variance of the residual; half of it undoes the log's bias"
            ),
            whole("rows", "Rows fitted on"),
            moment("trained_from", "First origin in the fit, UTC"),
            moment("trained_through", "Last minute of any label in the fit, UTC"),
            whole("input_version", "Version of gold/volatility that was read"),
            BATCH,
        ]
    ),
    keys=("model", "model_version", "horizon_minutes"),
    partition_by=(),
    write_mode="append",
    fact_column="trained_through",
)
SCORES = Table(
    layer="predictions",
    name="scores",
    description="One model and horizon over a window: losses of its forecasts against what came",
    schema=StructType(
        [
            moment("scored_at", "Newest minute that the window knows, UTC"),
            column("horizon_minutes", IntegerType(), "Minutes ahead"),
            text("model", "Model that was scored"),
            moment("first_origin_at", "First origin of the window, UTC"),
            moment("last_origin_at", "Last origin of the window, UTC"),
            whole("origins", "Forecasts scored, all at origins that every model spoke of"),
            number("qlike", "Mean of y/f - ln(y/f) - 1"),
            number("median_qlike", "Its median"),
            number("mse_log", "Mean of (ln y - ln f)^2"),
            number("pinball", "Mean pinball loss of the 5, 50 and 95 % quantiles, log return"),
            number("coverage", "Share of returns inside the 90 % band"),
            text("baseline", "The formula of lowest QLIKE, which the test is against"),
            number("dm_statistic", "Diebold-Mariano; below zero speaks for the model"),
            number("p_value", "Two-sided; null for the baseline itself or too few origins"),
            BATCH,
        ]
    ),
    keys=("scored_at", "horizon_minutes", "model"),
    partition_by=(),
    write_mode="append",
    fact_column="scored_at",
)
