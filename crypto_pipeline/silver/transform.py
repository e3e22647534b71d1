"""Typed rows → facts: each id once, whatever was sent again, late or changed."""

from __future__ import annotations

from datetime import timedelta
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from crypto_pipeline.bronze import schema as bronze
from crypto_pipeline.lake.table import Table
from crypto_pipeline.silver import gaps
from crypto_pipeline.silver.schema import CANDLES, GAPS, SET_ASIDE, TICKS
from crypto_pipeline.stage import StageInput, StageResult, conform

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# A tick older than this against the newest of its source and symbol is set aside: gold has
# moved on. History and repair are exempt.
TOO_LATE = timedelta(hours=24)

ARRIVAL = ("broker_at", "epoch", "partition", "offset")


def classify(facts: DataFrame, earlier: DataFrame) -> DataFrame:
    """Add `outcome` and `is_late` to facts with columns id, source, symbol, fact_at, is_exempt.

    `earlier` holds the facts committed before that may share an id or be newer: equal ids have
    equal fact times, so a read from the range's first fact on is enough for both. The outcome
    of an id does not depend on which copy arrives first, save which one is kept. A copy that is
    never too late comes before its others, or all of them would be set aside with the first.
    """
    order = Window.partitionBy("id").orderBy(F.col("is_exempt").desc(), *ARRIVAL)
    whole = order.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    known = earlier.select("id", F.col("content_hash").alias("known_hash"))
    newest = earlier.groupBy("source", "symbol").agg(F.max("fact_at").alias("newest_at"))
    ranked = (
        facts.withColumn("copy", F.row_number().over(order))
        .withColumn("first_hash", F.first("content_hash").over(whole))
        .join(known, on="id", how="left")
        .join(newest, on=["source", "symbol"], how="left")
    )
    is_known = F.col("known_hash").isNotNull()
    is_copy = F.col("copy") > 1
    reference = F.coalesce("known_hash", "first_hash")
    is_too_late = ~F.col("is_exempt") & (
        F.col("fact_at")
        < F.col("newest_at") - F.expr(f"INTERVAL {TOO_LATE.total_seconds()} SECONDS")
    )
    outcome = (
        F.when((is_known | is_copy) & (F.col("content_hash") != reference), "conflict")
        .when(is_known | is_copy, "duplicate")
        .when(F.coalesce(is_too_late, F.lit(False)), "too_late")
        .otherwise("accepted")
    )
    is_late = F.coalesce(F.col("fact_at") < F.col("newest_at"), F.lit(False))
    return ranked.withColumn("outcome", outcome).withColumn("is_late", is_late)


def set_aside(classified: DataFrame, *, kind: str) -> DataFrame:
    return classified.where(F.col("outcome") != "accepted").select(
        "id",
        F.lit(kind).alias("kind"),
        F.col("outcome").alias("reason"),
        "source",
        "symbol",
        "fact_at",
        "content_hash",
        *("topic", "epoch", "partition", "offset", "broker_at"),
        F.to_date("fact_at").alias("date"),
    )


def prepared(rows: DataFrame, table: Table) -> DataFrame:
    """Rows of bronze with `fact_at`, and `is_exempt` for what can never be too late."""
    is_exempt = F.coalesce("is_replay", F.lit(False))
    if table is CANDLES:
        is_exempt = is_exempt | F.coalesce("is_backfill", F.lit(False))
    return rows.withColumn("fact_at", F.col(table.fact_column)).withColumn("is_exempt", is_exempt)


def _classified(given: StageInput, read: Table, write: Table) -> DataFrame:
    rows = prepared(given.new[read.key], write)
    fact = write.fact_column
    since = given.span[0] if given.span else given.now
    names = ("id", "source", "symbol", "content_hash")
    earlier = given.known(write, since=since, columns=names).select(
        *names, F.col(fact).alias("fact_at")
    )
    return classify(rows, earlier)


def by_table(ticks: DataFrame, candles: DataFrame) -> dict[str, DataFrame]:
    """Classified facts as the rows of their tables, by key."""
    age = F.col("observed_at").cast("double") - F.col("event_at").cast("double")
    aside = [set_aside(ticks, kind="tick"), set_aside(candles, kind="candle")]
    return {
        SET_ASIDE.key: reduce(lambda a, b: a.unionByName(b), aside),
        CANDLES.key: candles.where(F.col("outcome") == "accepted"),
        TICKS.key: ticks.where(F.col("outcome") == "accepted").withColumn("age", age),
    }


def run(given: StageInput) -> StageResult:
    ticks, candles = given.keep_all(
        _classified(given, bronze.TICKS, TICKS), _classified(given, bronze.CANDLES, CANDLES)
    )
    outputs = by_table(ticks, candles)
    changed = gaps.changes(given, ticks=outputs[TICKS.key], candles=outputs[CANDLES.key])
    ledger = given.keep(conform(changed, GAPS, batch=given.batch))
    tables = {table.key: table for table in (SET_ASIDE, CANDLES, TICKS)}
    prefixed = [
        frame.withColumn(
            "outcome",
            F.when(F.col("outcome") == "accepted", F.lit(kind)).otherwise(F.col("outcome")),
        )
        for kind, frame in (("tick", ticks), ("candle", candles))
    ]
    # A poll is read for what it says about missing minutes, and goes nowhere else.
    polls = given.new[bronze.POLLS.key].withColumn("outcome", F.lit("poll"))
    return StageResult(
        classified=(*prefixed, polls),
        outputs={
            GAPS.key: ledger,
            **{k: conform(f, tables[k], batch=given.batch) for k, f in outputs.items()},
        },
        equations={
            "tick": TICKS.key,
            "candle": CANDLES.key,
            "duplicate": SET_ASIDE.key,
            "conflict": SET_ASIDE.key,
            "too_late": SET_ASIDE.key,
        },
        cached=(ticks, candles, ledger),
    )
