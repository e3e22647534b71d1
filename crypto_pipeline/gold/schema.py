"""Gold: candles, volatility and the market now."""

from __future__ import annotations

from pyspark.sql.types import DoubleType, IntegerType, StructField, StructType

from crypto_pipeline.lake.table import BATCH, DATE, Table, column, moment, price, text, whole

INSTRUMENT = (text("source", "Source of the facts"), text("symbol", "BASE-QUOTE"))
MINUTE = moment("minute_at", "First instant of the minute, UTC")


def number(name: str, comment: str) -> StructField:
    return column(name, DoubleType(), comment)


CANDLES_1M = Table(
    layer="gold",
    name="candles_1m",
    description="One source, symbol and minute; the exchange's candle wins over a sampled one",
    schema=StructType(
        [
            *INSTRUMENT,
            MINUTE,
            price("open", "First price"),
            price("high", "Highest price"),
            price("low", "Lowest price"),
            price("close", "Last price"),
            price("volume", "Volume, base units; null when sampled"),
            whole("trades", "Trades; null when sampled"),
            text("origin", "exchange, or sampled from one snapshot a minute"),
            column("revisions", IntegerType(), "How many candles of this minute were seen"),
            moment("observed_at", "When the winning record reached us, UTC"),
            text("fact_id", "Id of the winning fact in silver"),
            DATE,
            BATCH,
        ]
    ),
    keys=("source", "symbol", "minute_at"),
    partition_by=("date",),
    write_mode="slice",
    fact_column="minute_at",
)
VOLATILITY = Table(
    layer="gold",
    name="volatility",
    description="One source, symbol and minute: returns and measures of volatility",
    schema=StructType(
        [
            *INSTRUMENT,
            MINUTE,
            price("close", "Close of the minute"),
            text("origin", "Origin of the minute's candle"),
            number("return_1m", "Log return over 1 minute; null when a minute is missing"),
            number("return_5m", "Log return over 5 minutes"),
            number("return_1h", "Log return over 1 hour"),
            number("return_24h", "Log return over 24 hours"),
            number("variance_5m", "Sum of squared 1-minute log returns of 5 minutes, all present"),
            number("variance_15m", "The same over 15 minutes"),
            number("variance_60m", "The same over 60 minutes"),
            number(
                "variance_24h", "The same over 24 hours; scaled up when up to a tenth is missing"
            ),
            number("volatility_5m", "Annualised realised volatility of 5 minutes (525,600 a year)"),
            number("volatility_1h", "The same of 1 hour"),
            number("volatility_24h", "The same of 24 hours"),
            number(
                "ewma", "Annualised, exponentially weighted, decay 0.94 a minute, 1,440 minutes"
            ),
            number("parkinson_1h", "Annualised range volatility of 1 hour (Parkinson 1980)"),
            number("garman_klass_1h", "The same by Garman and Klass 1980"),
            number("atr_14", "Mean true range of 14 minutes, quote units"),
            number("bollinger_middle", "Mean close of 20 minutes"),
            number("bollinger_upper", "Middle plus two standard deviations"),
            number("bollinger_lower", "Middle minus two standard deviations"),
            number("bollinger_width", "Upper minus lower, over middle"),
            number("z_score", "Last return over the standard deviation of 1 hour's returns"),
            column("returns_24h", IntegerType(), "1-minute returns present in 24 hours"),
            DATE,
            BATCH,
        ]
    ),
    keys=("source", "symbol", "minute_at"),
    partition_by=("date",),
    write_mode="slice",
    fact_column="minute_at",
)
MARKET_SUMMARY = Table(
    layer="gold",
    name="market_summary",
    description="One source and symbol, now",
    schema=StructType(
        [
            *INSTRUMENT,
            MINUTE,
            price("last", "Last price of the newest tick, else the newest close"),
            price("bid", "Best bid of the newest tick"),
            price("ask", "Best ask of the newest tick"),
            number("spread_bps", "Ask minus bid over the middle, basis points"),
            number("return_1m", "Log return over 1 minute"),
            number("return_5m", "Log return over 5 minutes"),
            number("return_1h", "Log return over 1 hour"),
            number("return_24h", "Log return over 24 hours"),
            number("volume_24h", "Volume of 24 hours by the venue, quote units"),
            number("volatility_5m", "Annualised realised volatility of 5 minutes"),
            number("volatility_1h", "Annualised realised volatility of 1 hour"),
            number("volatility_24h", "Annualised realised volatility of 24 hours"),
            column(
                "volatility_rank",
                IntegerType(),
                "1 is the most volatile by 1 hour in its source; null without it",
            ),
            moment("poll_at", "Poll of the newest tick, UTC"),
            BATCH,
        ]
    ),
    keys=("source", "symbol"),
    partition_by=(),
    write_mode="overwrite",
    fact_column="minute_at",
)
