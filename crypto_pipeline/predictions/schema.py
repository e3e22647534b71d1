"""Predictions: the fitted models, what they say, how it came out, and who may serve."""

from __future__ import annotations

from pyspark.sql.types import BooleanType, DoubleType, IntegerType, StringType, StructType

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
            text("model", "persistence, ewma, har_pooled or blend_pooled"),
            text(
                "model_version",
                "Version of the fitted model; the formula's own where none is fitted",
            ),
            column("is_served", BooleanType(), "The forecast to show"),
            price("close", "Close at the origin"),
            text("origin_kind", "Origin of the candle at the origin: exchange or sampled"),
            number("variance", "Forecast variance of the log return over the horizon"),
            number("volatility", "The same, annualised (525,600 minutes)"),
            number(
                "return_low", "5 % quantile of the log return: the fit's own, a formula's is normal"
            ),
            number("return_high", "95 % quantile of the log return"),
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
            text("model", "har_pooled or blend_pooled"),
            text("model_version", "Time of the fit, UTC"),
            column("horizon_minutes", IntegerType(), "Minutes ahead"),
            number("intercept", "Intercept, log variance a minute"),
            number("weight_5m", "Weight of the log variance a minute of 5 minutes"),
            number("weight_60m", "Weight of 60 minutes"),
            number("weight_24h", "Weight of 24 hours"),
            number("residual_variance", "Variance of the log error of its forecasts in training"),
            whole("rows", "Rows fitted on"),
            moment("trained_from", "First origin in the fit, UTC"),
            moment("trained_through", "Last minute of any label in the fit, UTC"),
            whole("input_version", "Version of gold/volatility that was read"),
            column("weights", StringType(), "Every weight by its term, JSON", added=True),
            column(
                "band",
                DoubleType(),
                "90 % quantile of |return| over the forecast's deviation, in training",
                added=True,
            ),
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
    description="One origin, horizon, model and scope: losses of its forecasts against what came",
    schema=StructType(
        [
            moment("origin_at", "Origin of the forecasts, a multiple of 5 minutes ends it, UTC"),
            column("horizon_minutes", IntegerType(), "Minutes ahead"),
            text("model", "Model that was scored"),
            text(
                "scope",
                "all, regime:calm, regime:usual or regime:wild; in a lake of at most 100 symbols "
                "also symbol:SOURCE:SYMBOL",
            ),
            text("model_version", "Its version then"),
            whole("forecasts", "Forecasts scored: of symbols that every model spoke of"),
            whole("served", "Those of them that were the forecast to show"),
            number("qlike", "Mean of y/f - ln(y/f) - 1 over the symbols"),
            number("median_qlike", "Its median over the symbols"),
            number("mse_log", "Mean of (ln y - ln f)^2"),
            number("pinball", "Mean pinball loss of the 5, 50 and 95 % quantiles, log return"),
            number("coverage", "Share of returns inside the 90 % band"),
            DATE,
            BATCH,
        ]
    ),
    keys=("origin_at", "horizon_minutes", "model", "scope"),
    partition_by=("date",),
    write_mode="append",
    fact_column="origin_at",
)
GATES = Table(
    layer="predictions",
    name="gates",
    description="One decision on who serves a horizon; the newest holds",
    schema=StructType(
        [
            moment("decided_at", "Newest minute in gold at the decision, UTC"),
            column("horizon_minutes", IntegerType(), "Minutes ahead"),
            text("champion", "Fitted model that won; null when none has, then the baseline serves"),
            text("baseline", "The baseline of least QLIKE, which the test is against"),
            text("reason", "The decision in a sentence"),
            text("pinned_version", "Version put in place by hand; null: the newest fit serves"),
            whole("origins", "Origins compared"),
            number("qlike", "Mean QLIKE of the challenger; null with too few origins"),
            number("baseline_qlike", "The same of the baseline"),
            number("dm_statistic", "Diebold-Mariano; below zero speaks for the challenger"),
            number("p_value", "Two-sided; null when undefined"),
            BATCH,
        ]
    ),
    keys=("decided_at", "horizon_minutes"),
    partition_by=(),
    write_mode="append",
    fact_column="decided_at",
)
