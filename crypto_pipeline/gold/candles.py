"""Facts → one candle a source, symbol and minute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from crypto_pipeline.gold.schema import CANDLES_1M
from crypto_pipeline.silver import schema as silver
from crypto_pipeline.stage import Slice, StageInput, StageResult, conform

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

KEY = ("source", "symbol", "minute_at")
MINUTE = timedelta(minutes=1)


def from_exchange(candles: DataFrame) -> DataFrame:
    """All revisions of the batch as candidates; the newest observation ranks first."""
    return candles.select(
        "source",
        "symbol",
        F.col("open_at").alias("minute_at"),
        *("open", "high", "low", "close", "volume", "trades"),
        F.lit("exchange").alias("origin"),
        "observed_at",
        F.col("id").alias("fact_id"),
    )


def from_ticks(ticks: DataFrame) -> DataFrame:
    """A snapshot as a sampled candle, four equal prices, of the minute that ends with its poll."""
    at = F.date_trunc("minute", F.col("poll_at") - F.expr("INTERVAL 1 MICROSECOND"))
    prices = [F.col("price").alias(name) for name in ("open", "high", "low", "close")]
    return ticks.select(
        "source",
        "symbol",
        at.alias("minute_at"),
        *prices,
        F.lit(None).cast("decimal(38,18)").alias("volume"),
        F.lit(None).cast("bigint").alias("trades"),
        F.lit("sampled").alias("origin"),
        "observed_at",
        F.col("id").alias("fact_id"),
    )


def classify(candidates: DataFrame, earlier: DataFrame) -> DataFrame:
    """Add `outcome`: taken, recounted, superseded (an older revision) or covered (a tick).

    Exchange wins over sampled, then the newest observation, then the id, so the order of
    arrival does not matter. Recounted is the one older revision of a minute for which the row
    of the table is written again, with one revision more to its count.
    """
    is_sampled = F.col("origin") == "sampled"
    order = Window.partitionBy(*KEY).orderBy(
        is_sampled, F.col("observed_at").desc(), F.col("fact_id")
    )
    whole = Window.partitionBy(*KEY)
    known = earlier.select(
        *KEY,
        F.col("origin").alias("known_origin"),
        F.col("observed_at").alias("known_at"),
        F.col("fact_id").alias("known_id"),
        F.col("revisions").alias("known_revisions"),
    )
    seen = F.sum(F.when(is_sampled, 0).otherwise(1)).over(whole)
    known_exchange = F.coalesce(F.col("known_origin") == "exchange", F.lit(False))
    is_newer = (F.col("known_at") > F.col("observed_at")) | (
        (F.col("known_at") == F.col("observed_at")) & (F.col("known_id") < F.col("fact_id"))
    )
    known_wins = F.col("known_origin").isNotNull() & F.when(
        is_sampled, known_exchange | is_newer
    ).otherwise(known_exchange & is_newer)
    ranked = (
        candidates.withColumn("place", F.row_number().over(order))
        .withColumn("seen", seen)
        .join(known, on=list(KEY), how="left")
    )
    old = F.when(known_exchange, F.col("known_revisions")).otherwise(F.lit(0))
    outcome = (
        F.when((F.col("place") == 1) & ~known_wins, "taken")
        .when(is_sampled, "covered")
        .when(F.col("place") == 1, "recounted")
        .otherwise("superseded")
    )
    return ranked.withColumn("outcome", outcome).withColumn(
        "revisions", F.greatest(F.col("seen") + old, F.lit(1))
    )


def run(given: StageInput) -> StageResult:
    facts = from_exchange(given.new[silver.CANDLES.key]).unionByName(
        from_ticks(given.new[silver.TICKS.key])
    )
    is_held = F.col("source").isin(*given.held) if given.held else F.lit(False)
    held = facts.where(is_held).withColumn("outcome", F.lit("held"))
    candidates = facts.where(~is_held)
    first, until = given.span or (given.now, given.now)
    # A tick samples the minute before its poll.
    since = first.replace(second=0, microsecond=0) - MINUTE
    earlier = given.known(CANDLES_1M, since=since, until=until)
    classified = given.keep(classify(candidates, earlier))
    taken = classified.where(F.col("outcome") == "taken").withColumn("date", F.to_date("minute_at"))
    counted = classified.where(F.col("outcome") == "recounted").select(*KEY, "revisions")
    taken = taken.unionByName(
        earlier.drop("batch", "revisions").join(counted, on=list(KEY), how="inner"),
        allowMissingColumns=True,
    )
    replacing = taken.join(earlier.select(*KEY), on=list(KEY), how="left_semi")
    return StageResult(
        classified=(classified, held) if given.held else (classified,),
        outputs={CANDLES_1M.key: conform(taken, CANDLES_1M, batch=given.batch)},
        equations={"taken": CANDLES_1M.key, "recounted": CANDLES_1M.key},
        slices={
            CANDLES_1M.key: Slice(
                predicate=minute_slice(since, until),
                kept=earlier.join(taken.select(*KEY), on=list(KEY), how="left_anti").select(
                    *CANDLES_1M.columns
                ),
                replacing=replacing,
            )
        },
        cached=(classified,),
    )


def minute_slice(since: datetime, until: datetime, *, dates: Sequence[date] = ()) -> str:
    """A predicate on date and minute that Delta can check against every rewritten row.

    To the microsecond: rows within it and rows that `Lake.read` gives for it must be the same.
    With `dates` only these of the span.
    """
    form = "%Y-%m-%d %H:%M:%S.%f"
    listed = ", ".join(f"'{day}'" for day in dates)
    return (
        f"date >= '{since:%Y-%m-%d}' AND date <= '{until:%Y-%m-%d}' AND "
        f"minute_at >= timestamp'{since.strftime(form)}' AND "
        f"minute_at <= timestamp'{until.strftime(form)}'"
        + (f" AND date IN ({listed})" if dates else "")
    )
