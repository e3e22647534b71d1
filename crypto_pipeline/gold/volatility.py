"""Candles → returns and measures of volatility, one row a minute.

Every measure of a minute is one aggregate over the candles of the 24 hours that end with it:
a window function over the same costs more as soon as only the newest minute is wanted. Of the
minutes before a range only return and close are needed, and this table has them already.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from crypto_pipeline.gold.candles import KEY, minute_slice
from crypto_pipeline.gold.schema import CANDLES_1M, VOLATILITY
from crypto_pipeline.stage import Slice, StageInput, StageResult, conform

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, GroupedData

DAY = timedelta(hours=24)
MINUTES_A_DAY = 1440
HOUR = 60
MINUTES_A_YEAR = 525_600  # the market never closes
DECAY = 0.94
# Of a day's returns, the part that must be there for a 24-hour measure.
DAY_COVERAGE = 0.9
# A minute's own terms beside its close.
OF_A_MINUTE = ("r", "hl2", "co2", "true_range")
OF_A_DAY = (*KEY, "close", "return_1m")


def minute_number() -> Column:
    """Minutes since 1970 of `minute_at`."""
    return (F.col("minute_at").cast("long") / 60).cast("long")


def with_terms(candles: DataFrame) -> DataFrame:
    """Candles as doubles with each minute's own terms; a return needs the minute before it."""
    before = Window.partitionBy("source", "symbol").orderBy("minute")
    frame = candles.select(
        "source",
        "symbol",
        minute_number().alias("minute"),
        "origin",
        *(F.col(name).cast("double").alias(name) for name in ("open", "high", "low", "close")),
    )
    previous = F.when(
        F.lag("minute").over(before) == F.col("minute") - 1, F.lag("close").over(before)
    )
    is_range = F.col("origin") == "exchange"
    high_low = F.log(F.col("high") / F.col("low"))
    true_range = F.greatest(
        F.col("high") - F.col("low"),
        F.abs(F.col("high") - F.col("previous")),
        F.abs(F.col("low") - F.col("previous")),
    )
    return (
        frame.withColumn("previous", previous)
        .withColumn("r", F.log(F.col("close") / F.col("previous")))
        .withColumn("hl2", F.when(is_range, high_low * high_low))
        .withColumn(
            "co2", F.when(is_range, F.pow(F.log(F.col("close") / F.col("open")), F.lit(2.0)))
        )
        .withColumn("true_range", F.when(is_range, true_range))
    )


def measure(targets: DataFrame, terms: DataFrame, *, recent: DataFrame | None = None) -> DataFrame:
    """One row a target (source, symbol, minute) with every measure over its own 24 hours.

    Most measures look back an hour: `recent` has the terms of each target's last hour alone, where
    to take them out of the whole day costs more than to read them again. Of `terms` the day's own
    measures then need minute, close and r.
    """
    day = _over(targets, terms, reach=MINUTES_A_DAY, names=("r",)).agg(*_of_a_day())
    hour = _over(targets, terms if recent is None else recent, reach=HOUR, names=OF_A_MINUTE).agg(
        *_of_an_hour()
    )
    whole = day.join(hour, on=["source", "symbol", "minute"], how="inner")
    return whole.select("source", "symbol", "minute", *_measures())


def _over(targets: DataFrame, terms: DataFrame, *, reach: int, names: Sequence[str]) -> GroupedData:
    """The terms of a target's own minute and of so many before it, each with its `age`."""
    past = terms.select(
        F.col("source").alias("s"),
        F.col("symbol").alias("y"),
        F.col("minute").alias("at"),
        *names,
        F.col("close").alias("c"),
    )
    joined = targets.join(
        past,
        on=(F.col("source") == F.col("s"))
        & (F.col("symbol") == F.col("y"))
        & F.col("at").between(F.col("minute") - reach, F.col("minute")),
        how="inner",
    )
    return joined.withColumn("age", F.col("minute") - F.col("at")).groupBy(
        "source", "symbol", "minute"
    )


def _within(minutes: int, value: Column) -> Column:
    return F.when(F.col("age") < minutes, value)


def _sums(minutes: int) -> list[Column]:
    r = F.col("r")
    return [
        F.max(F.when(F.col("age") == minutes, F.col("c"))).alias(f"close_{minutes}"),
        F.sum(_within(minutes, r * r)).alias(f"sum_{minutes}"),
        F.count(_within(minutes, r)).cast("int").alias(f"count_{minutes}"),
    ]


def _of_a_day() -> list[Column]:
    age, r = F.col("age"), F.col("r")
    weight = _within(MINUTES_A_DAY, F.when(r.isNotNull(), F.pow(F.lit(DECAY), age)))
    return [
        *_sums(MINUTES_A_DAY),
        F.sum(weight * r * r).alias("weighted"),
        F.sum(weight).alias("weights"),
    ]


def _of_an_hour() -> list[Column]:
    r = F.col("r")
    return [
        *(column for minutes in (0, 1, 5, 15, HOUR) for column in _sums(minutes)),
        F.avg(_within(HOUR, F.col("hl2"))).alias("hl2"),
        F.avg(_within(HOUR, F.col("co2"))).alias("co2"),
        F.avg(_within(14, F.col("true_range"))).alias("atr_14"),
        F.avg(_within(20, F.col("c"))).alias("middle"),
        F.stddev_pop(_within(20, F.col("c"))).alias("deviation"),
        F.stddev_samp(_within(HOUR, r)).alias("r_deviation"),
        F.max(_within(1, r)).alias("r_now"),
    ]


def _measures() -> list[Column]:
    variance = {m: F.when(F.col(f"count_{m}") == m, F.col(f"sum_{m}")) for m in (5, 15, 60)}
    day_count = F.col(f"count_{MINUTES_A_DAY}")
    variance[MINUTES_A_DAY] = F.when(
        day_count >= DAY_COVERAGE * MINUTES_A_DAY,
        F.col(f"sum_{MINUTES_A_DAY}") * MINUTES_A_DAY / day_count,
    )
    names = {5: "5m", 15: "15m", 60: "60m", MINUTES_A_DAY: "24h"}
    parkinson = F.col("hl2") / (4 * math.log(2))
    garman_klass = 0.5 * F.col("hl2") - (2 * math.log(2) - 1) * F.col("co2")
    return [
        F.log(F.col("close_0") / F.col("close_1")).alias("return_1m"),
        F.log(F.col("close_0") / F.col("close_5")).alias("return_5m"),
        F.log(F.col("close_0") / F.col("close_60")).alias("return_1h"),
        F.log(F.col("close_0") / F.col(f"close_{MINUTES_A_DAY}")).alias("return_24h"),
        *(value.alias(f"variance_{names[m]}") for m, value in variance.items()),
        annualised(variance[5], minutes=5).alias("volatility_5m"),
        annualised(variance[60], minutes=60).alias("volatility_1h"),
        annualised(variance[MINUTES_A_DAY], minutes=MINUTES_A_DAY).alias("volatility_24h"),
        annualised(F.col("weighted") / F.col("weights"), minutes=1).alias("ewma"),
        annualised(parkinson, minutes=1).alias("parkinson_1h"),
        # The estimator can fall below zero when a candle opens at one end and closes at the other;
        # `greatest` alone would pass over a null and give zero.
        annualised(F.when(garman_klass < 0, 0.0).otherwise(garman_klass), minutes=1).alias(
            "garman_klass_1h"
        ),
        F.col("atr_14"),
        F.col("middle").alias("bollinger_middle"),
        (F.col("middle") + 2 * F.col("deviation")).alias("bollinger_upper"),
        (F.col("middle") - 2 * F.col("deviation")).alias("bollinger_lower"),
        (4 * F.col("deviation") / F.col("middle")).alias("bollinger_width"),
        F.when(F.col("r_deviation") > 0, F.col("r_now") / F.col("r_deviation")).alias("z_score"),
        day_count.alias("returns_24h"),
    ]


def annualised(variance: Column, *, minutes: int) -> Column:
    """Volatility a year from a variance over some minutes."""
    return F.sqrt(variance * F.lit(MINUTES_A_YEAR / minutes))


def affected(candles: DataFrame, touched: DataFrame) -> DataFrame:
    """The candles whose 24 hours hold a touched minute, marked `is_new` when touched itself.

    By day: an old minute beside a live one reaches its own 24 hours, not all days up to now.
    """
    reach = touched.groupBy(
        F.col("source").alias("s"), F.col("symbol").alias("y"), F.to_date("minute_at").alias("day")
    ).agg(
        F.min("minute_at").alias("first_at"),
        (F.max("minute_at") + F.expr("INTERVAL 24 HOURS")).alias("last_at"),
    )
    new = touched.select(*KEY).withColumn("is_new", F.lit(True))
    return (
        candles.join(
            reach,
            on=(F.col("source") == F.col("s"))
            & (F.col("symbol") == F.col("y"))
            & F.col("minute_at").between(F.col("first_at"), F.col("last_at")),
            how="left_semi",
        )
        .join(new, on=list(KEY), how="left")
        .select(*KEY, "close", "origin", F.coalesce("is_new", F.lit(False)).alias("is_new"))
        .withColumn("minute", minute_number())
    )


def of_a_day(measured: DataFrame, terms: DataFrame, *, since: datetime) -> DataFrame:
    """minute, close and r: as this table has them before `since`, of the candles' terms from it.

    What a late candle changes lies within the range, so before it nothing is out of date.
    """
    names = ("source", "symbol", "minute", "close", "r")
    before = measured.where(F.col("minute_at") < F.lit(since)).select(
        "source",
        "symbol",
        minute_number().alias("minute"),
        F.col("close").cast("double").alias("close"),
        F.col("return_1m").alias("r"),
    )
    first = int(since.timestamp()) // 60
    return before.unionByName(terms.where(F.col("minute") >= first).select(*names))


def touched_days(touched: DataFrame, span: tuple[datetime, datetime]) -> frozenset[date]:
    """The UTC dates of the touched minutes where they lie far apart; empty where they do not.

    It takes a query of its own, which a minute's cycle does without.
    """
    since, until = span
    if until - since <= DAY:
        return frozenset()
    days = touched.select(F.to_date("minute_at").alias("day")).distinct().collect()
    return frozenset(row["day"] for row in days)


def of_days(rows: DataFrame, days: Collection[date], *, also: Sequence[int]) -> DataFrame:
    """The rows of some dates and of those so many days after each; all rows without dates."""
    return rows.where(F.col("date").isin(*around(days, also=also))) if days else rows


def around(days: Collection[date], *, also: Sequence[int]) -> list[date]:
    return sorted({day + timedelta(days=number) for day in days for number in (0, *also)})


def looks(given: StageInput, since: datetime) -> int:
    """How many candles are looked at for each new one, at most: a day's for each minute it moves.

    A live one moves its own minute, a late one up to a day of those that were there before it.
    """
    newest = given.before.get(CANDLES_1M.key, since)
    later = max(0, (newest - since) // timedelta(minutes=1))
    return MINUTES_A_DAY * (1 + min(later, MINUTES_A_DAY))


def run(given: StageInput) -> StageResult:
    since, until = given.span or (given.now, given.now)
    touched = given.new[CANDLES_1M.key]
    days = touched_days(touched, (since, until))
    back = partial(given.known, CANDLES_1M, until=until + DAY)
    # Each reach is a read of its own: the shorter ones are few rows, and the minutes that are
    # wanted are kept because the plan would look for them twice.
    targets = given.keep(affected(of_days(back(since=since), days, also=[1]), touched))
    nearby = of_days(back(since=since - timedelta(minutes=HOUR)), days, also=[-1, 1])
    recent = with_terms(nearby)
    before = given.known(VOLATILITY, since=since - DAY, until=since, columns=OF_A_DAY)
    terms = of_a_day(before, recent, since=since)
    measured = targets.join(
        measure(targets.select("source", "symbol", "minute"), terms, recent=recent),
        on=["source", "symbol", "minute"],
        how="inner",
    ).withColumn("date", F.to_date("minute_at"))
    rows = given.keep(conform(measured, VOLATILITY, batch=given.batch), reach=looks(given, since))
    earlier = of_days(given.known(VOLATILITY, since=since, until=until + DAY), days, also=[1])
    replacing = rows.join(earlier.select(*KEY), on=list(KEY), how="left_semi")
    return StageResult(
        classified=(touched.withColumn("outcome", F.lit("measured")),),
        outputs={VOLATILITY.key: rows},
        equations={},
        slices={
            VOLATILITY.key: Slice(
                predicate=minute_slice(since, until + DAY, dates=around(days, also=[1])),
                kept=earlier.join(rows.select(*KEY), on=list(KEY), how="left_anti").select(
                    *VOLATILITY.columns
                ),
                replacing=replacing,
            )
        },
        cached=(targets, rows),
    )
