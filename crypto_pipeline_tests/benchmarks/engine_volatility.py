"""The measures of `gold/volatility` in Polars, by the same formula as its transform's.

Its constants are said again: to import them would bring Spark's client into a process whose
memory is measured.
"""

from __future__ import annotations

import math

import polars as pl

from crypto_pipeline_tests.benchmarks.engine_tables import NEWEST

DAY = 1_440
YEAR = 525_600
DECAY = 0.94
DAY_COVERAGE = 0.9
INSTRUMENT = ("source", "symbol")
NAMES = {5: "5m", 15: "15m", 60: "60m", DAY: "24h"}


def measured(candles: pl.LazyFrame) -> pl.LazyFrame:
    """One row a symbol, of NEWEST, over the candles of its own 24 hours."""
    rows = terms(candles)
    newest = int(NEWEST.timestamp()) // 60
    targets = rows.filter(pl.col("minute") == newest).select(*INSTRUMENT, at="minute")
    return (
        rows.join(targets, on=INSTRUMENT, how="inner")
        .with_columns(age=pl.col("at") - pl.col("minute"))
        .filter(pl.col("age").is_between(0, DAY))
        .group_by(*INSTRUMENT, minute="at")
        .agg(*aggregates())
        .select(*INSTRUMENT, "minute", *measures())
    )


def terms(candles: pl.LazyFrame) -> pl.LazyFrame:
    """Each minute's own terms; a return needs the minute before it."""
    ordered = candles.select(
        *INSTRUMENT,
        (pl.col("minute_at").dt.epoch("s") // 60).alias("minute"),
        "origin",
        *(pl.col(name).cast(pl.Float64) for name in ("open", "high", "low", "close")),
    ).sort(*INSTRUMENT, "minute")
    is_next = pl.col("minute").shift() == pl.col("minute") - 1
    for name in INSTRUMENT:
        is_next &= pl.col(name).shift() == pl.col(name)
    is_range = pl.col("origin") == "exchange"
    high, low, previous = pl.col("high"), pl.col("low"), pl.col("previous")
    true_range = pl.max_horizontal(high - low, (high - previous).abs(), (low - previous).abs())
    return ordered.with_columns(
        previous=pl.when(is_next).then(pl.col("close").shift())
    ).with_columns(
        r=(pl.col("close") / previous).log(),
        hl2=pl.when(is_range).then((high / low).log() ** 2),
        co2=pl.when(is_range).then((pl.col("close") / pl.col("open")).log() ** 2),
        true_range=pl.when(is_range).then(true_range),
    )


def aggregates() -> list[pl.Expr]:
    age, r = pl.col("age"), pl.col("r")
    weight = pl.when(r.is_not_null() & (age < DAY)).then(pl.lit(DECAY) ** age)

    def within(minutes: int, value: pl.Expr) -> pl.Expr:
        return pl.when(age < minutes).then(value)

    columns = [
        pl.when(age == minutes).then(pl.col("close")).max().alias(f"close_{minutes}")
        for minutes in (0, 1, 5, 60, DAY)
    ]
    for minutes in NAMES:
        columns.append(within(minutes, r * r).sum().alias(f"sum_{minutes}"))
        columns.append(within(minutes, r).count().cast(pl.Int32).alias(f"count_{minutes}"))
    return [
        *columns,
        (weight * r * r).sum().alias("weighted"),
        weight.sum().alias("weights"),
        within(60, pl.col("hl2")).mean().alias("hl2"),
        within(60, pl.col("co2")).mean().alias("co2"),
        within(14, pl.col("true_range")).mean().alias("atr_14"),
        within(20, pl.col("close")).mean().alias("middle"),
        within(20, pl.col("close")).std(ddof=0).alias("deviation"),
        within(60, r).std(ddof=1).alias("r_deviation"),
        pl.when(age == 0).then(r).max().alias("r_now"),
    ]


def measures() -> list[pl.Expr]:
    close, deviation, middle = pl.col("close_0"), pl.col("deviation"), pl.col("middle")
    variance = {m: pl.when(pl.col(f"count_{m}") == m).then(pl.col(f"sum_{m}")) for m in NAMES}
    count = pl.col(f"count_{DAY}")
    variance[DAY] = pl.when(count >= DAY_COVERAGE * DAY).then(pl.col(f"sum_{DAY}") * DAY / count)
    garman_klass = 0.5 * pl.col("hl2") - (2 * math.log(2) - 1) * pl.col("co2")
    backs = {1: "1m", 5: "5m", 60: "1h", DAY: "24h"}
    return [
        *(
            (close / pl.col(f"close_{m}")).log().alias(f"return_{name}")
            for m, name in backs.items()
        ),
        *(variance[m].alias(f"variance_{name}") for m, name in NAMES.items()),
        annualised(variance[5], minutes=5).alias("volatility_5m"),
        annualised(variance[60], minutes=60).alias("volatility_1h"),
        annualised(variance[DAY], minutes=DAY).alias("volatility_24h"),
        annualised(pl.col("weighted") / pl.col("weights"), minutes=1).alias("ewma"),
        annualised(pl.col("hl2") / (4 * math.log(2)), minutes=1).alias("parkinson_1h"),
        annualised(garman_klass.clip(0.0), minutes=1).alias("garman_klass_1h"),
        "atr_14",
        middle.alias("bollinger_middle"),
        (middle + 2 * deviation).alias("bollinger_upper"),
        (middle - 2 * deviation).alias("bollinger_lower"),
        (4 * deviation / middle).alias("bollinger_width"),
        pl.when(pl.col("r_deviation") > 0)
        .then(pl.col("r_now") / pl.col("r_deviation"))
        .alias("z_score"),
        count.alias("returns_24h"),
    ]


def annualised(variance: pl.Expr, *, minutes: int) -> pl.Expr:
    return (variance * (YEAR / minutes)).sqrt()
