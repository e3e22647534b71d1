"""Polls and candles → the ledger of minutes that are missing, and of what became of them.

A minute is judged when a later poll has come: by then its own candles had a batch to arrive in.
Each is judged once, because a range knows the newest poll before it (`StageInput.before`). A
row sets the state of every minute in [from_at, to_at); of two rows the later batch holds.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from crypto_pipeline.bronze import schema as bronze
from crypto_pipeline.silver.schema import CANDLES, GAPS, TICKS
from crypto_pipeline.stage import StageInput

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

MINUTE = timedelta(minutes=1)
# The venue has answered so often without the candle: there is none to be had.
TRIES = 3
# These serve a candle for a minute without a trade, so a missing one means that trading stopped.
EMPTY_MINUTES_SERVED = ("binance",)

STATE = ("cause", "state", "tries")
KEY = ("source", "symbol", "minute_at")
OPENED = ("source", "symbol", "open_at")
POLLED = ("source", "symbol", "poll_at")


def changes(given: StageInput, *, ticks: DataFrame, candles: DataFrame) -> DataFrame:
    """The rows of `silver/gaps` that one range adds; `ticks` and `candles` it has accepted."""
    arrived = candles.select("source", "symbol", F.col("open_at").alias("minute_at"))
    polls = given.new[bronze.POLLS.key]
    minutes = opened(given, ticks=ticks, arrived=arrived).unionByName(
        touched(arrived, answers(polls), _events(given))
    )
    return intervals(minutes).withColumn("decided_at", F.lit(given.now))


def opened(given: StageInput, *, ticks: DataFrame, arrived: DataFrame) -> DataFrame:
    """Minutes that a poll was to bring and did not, and minutes between two polls."""
    start = given.before.get(bronze.POLLS.key)
    since = start or (given.span or (given.now, given.now))[0]
    polls = given.new[bronze.POLLS.key] if start is None else given.known(bronze.POLLS, since=since)
    judged, next_asked = followed(polls)
    had = given.known(CANDLES, since=since - MINUTE, columns=OPENED).select(
        "source", "symbol", F.col("open_at").alias("minute_at")
    )
    seen = given.known(TICKS, since=since, columns=POLLED).select(*POLLED)
    received = had.unionByName(arrived).distinct()
    ticked = seen.unionByName(ticks.select("source", "symbol", "poll_at")).distinct()
    missing = unpolled(judged, next_asked).join(received, on=list(KEY), how="left_anti")
    rows = missing.unionByName(unserved(judged, received, ticked))
    return rows.withColumns({"state": F.lit("open"), "tries": F.lit(0)})


def followed(polls: DataFrame) -> tuple[DataFrame, DataFrame]:
    """The minute's polls that a later one follows, with its instant; and what was asked then.

    A record may be on the topic twice, so a source and an instant count once.
    """
    minute = polls.where(F.col("purpose") == "minute").dropDuplicates(["source", "poll_at"])
    # Of whatever source: a minute that another venue answered was not one without a poll.
    order = Window.partitionBy("market").orderBy("poll_at")
    times = minute.select("market", "poll_at").distinct()
    instants = times.withColumn("next_at", F.lead("poll_at").over(order)).drop("market")
    judged = minute.join(instants.where(F.col("next_at").isNotNull()), on="poll_at", how="inner")
    asked = minute.select(F.col("poll_at").alias("next_at"), _each("symbols_asked")).distinct()
    return judged, asked


def unpolled(judged: DataFrame, next_asked: DataFrame) -> DataFrame:
    """Minutes of which no poll was made, of symbols that were wanted before and after."""
    minute = F.expr("INTERVAL 1 MINUTE")
    last = F.col("next_at") - F.expr("INTERVAL 2 MINUTES")
    wanted = judged.where((F.col("poll_at") <= last) & (F.size(_due()) > 0))
    return (
        wanted.select("source", "poll_at", "next_at", _each("symbols_asked"))
        .join(next_asked, on=["next_at", "symbol"], how="left_semi")
        .select(
            "source",
            "symbol",
            F.explode(F.sequence("poll_at", last, minute)).alias("minute_at"),
            F.lit("no_poll").alias("cause"),
        )
    )


def unserved(judged: DataFrame, received: DataFrame, ticked: DataFrame) -> DataFrame:
    """Minutes of which a poll was made and no candle came, with what the poll says about it."""
    due = judged.select(
        *("source", "venue", "poll_at", "outcome", "candles", "candles_missed"),
        (F.col("poll_at") - F.expr("INTERVAL 1 MINUTE")).alias("minute_at"),
        F.explode(_due()).alias("symbol"),
    )
    poll = Window.partitionBy("source", "poll_at")
    found = (
        due.join(received.withColumn("is_here", F.lit(1)), on=list(KEY), how="left")
        .join(
            ticked.withColumn("is_ticked", F.lit(1)), on=["source", "symbol", "poll_at"], how="left"
        )
        .withColumn("here", F.count("is_here").over(poll))
    )
    is_missed = F.coalesce(F.array_contains("candles_missed", F.col("symbol")), F.lit(False))
    is_quiet = F.col("is_ticked").isNotNull() & ~F.col("venue").isin(*EMPTY_MINUTES_SERVED)
    cause = (
        F.when(~F.col("outcome").isin("ok", "partial") | is_missed, "source_down")
        .when(F.col("here") < F.col("candles"), "served_never_received")
        .when(~is_quiet, "halted")
    )
    rows = found.where(F.col("is_here").isNull()).withColumn("cause", cause)
    return rows.where(F.col("cause").isNotNull()).select(*KEY, "cause")


def answers(polls: DataFrame) -> DataFrame:
    """What the venue answered about a past interval, a symbol a row."""
    fetched = polls.where(
        F.col("until_at").isNotNull() & F.col("outcome").isin("ok", "partial")
    ).select("source", "poll_at", "until_at", "candles_missed", _each("symbols_asked"))
    is_missed = F.coalesce(F.array_contains("candles_missed", F.col("symbol")), F.lit(False))
    return fetched.where(~is_missed).drop("candles_missed")


def touched(arrived: DataFrame, answered: DataFrame, events: DataFrame) -> DataFrame:
    """Missing minutes whose candle has come, or of which the venue has answered without it."""
    newest = F.struct("batch", *STATE).alias("event")
    come = arrived.join(events, on=["source", "symbol"], how="inner").where(
        (F.col("minute_at") >= F.col("from_at")) & (F.col("minute_at") < F.col("to_at"))
    )
    start, end = F.greatest("from_at", "poll_at"), F.least("to_at", "until_at")
    asked = (
        answered.join(events, on=["source", "symbol"], how="inner")
        .where(start < end)
        .withColumn("minute_at", F.explode(_minutes(start, end)))
    )
    merged = (
        come.select(*KEY, newest, F.lit(True).alias("has_come"))
        .unionByName(asked.select(*KEY, newest, F.lit(False).alias("has_come")))
        .groupBy(*KEY)
        .agg(F.max("event").alias("event"), F.max("has_come").alias("has_come"))
    )
    rows = merged.select(*KEY, "has_come", "event.*")
    tries = F.col("tries") + 1
    given_up = ~F.col("has_come") & (tries >= TRIES)
    return rows.where(
        F.when(F.col("has_come"), F.col("state") != "repaired").otherwise(F.col("state") == "open")
    ).select(
        *KEY,
        F.when(given_up, "halted").otherwise(F.col("cause")).alias("cause"),
        F.when(F.col("has_come"), "repaired")
        .when(given_up, "given_up")
        .otherwise("open")
        .alias("state"),
        F.when(F.col("has_come"), F.col("tries")).otherwise(tries).alias("tries"),
    )


def intervals(minutes: DataFrame) -> DataFrame:
    """Neighbouring minutes in the same state as one row; none goes past the end of its day."""
    same = ("source", "symbol", "date", *STATE)
    number = F.row_number().over(Window.partitionBy(*same).orderBy("minute_at"))
    whole = (F.col("minute_at").cast("long") / 60).cast("long")
    runs = minutes.withColumn("date", F.to_date("minute_at")).withColumn("run", whole - number)
    return (
        runs.groupBy(*same, "run")
        .agg(
            F.min("minute_at").alias("from_at"),
            (F.max("minute_at") + F.expr("INTERVAL 1 MINUTE")).alias("to_at"),
            F.count("*").alias("minutes"),
        )
        .drop("run")
    )


def _events(given: StageInput) -> DataFrame:
    """Rows of the ledger that may hold a minute of the range: they end with their day.

    An answer about a past interval reaches beyond the instant that its record is of.
    """
    first, _ = given.span or (given.now, given.now)
    return given.known(GAPS, since=_midnight(first)).select(
        "source", "symbol", "from_at", "to_at", "batch", *STATE
    )


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _due() -> Column:
    """Records of before the field was there owed what they asked for."""
    return F.coalesce("candles_due", "symbols_asked")


def _each(name: str) -> Column:
    return F.explode(name).alias("symbol")


def _minutes(start: Column, end: Column) -> Column:
    minute = F.expr("INTERVAL 1 MINUTE")
    return F.sequence(start, end - minute, minute)
