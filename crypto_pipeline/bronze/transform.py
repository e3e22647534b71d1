"""Bytes → typed rows. Every record ends in exactly one of four tables."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crypto_pipeline.bronze.rules import CANDLE_FACTS, message_schema, reasons_of
from crypto_pipeline.bronze.schema import (
    CANDLES,
    POLLS,
    REJECTED,
    TICKS,
)
from crypto_pipeline.contract import topic
from crypto_pipeline.lake.table import Table
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.stage import StageInput, StageResult, conform

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# Facts only: two reports of one fact may differ in when we saw it and how it was worded.
TICK_FACTS = (
    "price", "bid", "ask", "bid_size", "ask_size", "open_24h", "high_24h", "low_24h",
    "volume_24h", "quote_volume_24h", "market_cap", "trades_24h", "mark", "event_at",
)  # fmt: skip

KIND_OF_TOPIC = {
    topic.TICKS.name: "tick",
    topic.CANDLES.name: "candle",
    topic.POLLS.name: "poll",
    topic.REJECTED.name: "rejected",
}


def parse(records: DataFrame) -> DataFrame:
    """raw/records with the message as struct `m`, all null when it is not a JSON object.

    The parser would take the first object of an array for the record and drop the others.
    """
    whole = F.expr("try_cast(value AS STRING)")
    text = F.when(whole.rlike(r"^\s*\{"), whole)
    return (
        records.withColumn("text", text)
        .withColumn("m", F.from_json("text", message_schema(), {"mode": "PERMISSIVE"}))
        .withColumn("expected", _kind_of_topic())
        .withColumn("is_replay", F.lit(None).cast("boolean"))
    )


def classify(parsed: DataFrame, *, market: str) -> DataFrame:
    """Add `reason` (null = good), `rule` and `outcome`: tick, candle, poll or rejected."""
    reasons = reasons_of(market)
    reason = F.coalesce(*(F.when(broken, F.lit(code)) for code, _, broken in reasons))
    rule = F.coalesce(
        F.when(F.col("expected") == "rejected", F.col("m.detail")),
        *(F.when(F.col("reason") == code, words) for code, words, _ in reasons),
    )
    checked = parsed.withColumn(
        "reason",
        F.when(
            (F.col("expected") == "rejected") & F.col("m.kind").isNotNull(),
            F.coalesce("m.reason", reason, F.lit("missing_field")),
        ).otherwise(reason),
    )
    return checked.withColumn("rule", rule).withColumn(
        "outcome", F.when(F.col("reason").isNull(), F.col("expected")).otherwise(F.lit("rejected"))
    )


def _kind_of_topic() -> Column:
    return F.coalesce(
        *(F.when(F.col("topic") == name, F.lit(kind)) for name, kind in KIND_OF_TOPIC.items()),
        F.lit("unknown"),
    )


def typed(classified: DataFrame, table: Table, *, facts: tuple[str, ...]) -> DataFrame:
    """The rows of one kind with the table's types; the date is the fact's, UTC."""
    kept = ("topic", "epoch", "partition", "offset", "broker_at", "is_replay")
    own = {*kept, "date", "batch", "content_hash"}
    columns = []
    for f in table.schema.fields:
        if f.name in own:
            continue
        name = f.dataType.simpleString()
        source = F.col(f"m.{f.name}")
        columns.append(
            (
                F.expr(f"try_cast(m.{f.name} AS {name})") if name != "array<string>" else source
            ).alias(f.name)
        )
    values = [F.coalesce(F.col(name).cast("string"), F.lit("~")) for name in facts]
    rows = classified.select(*kept, *columns)
    rows = rows.withColumn("date", F.to_date(table.fact_column))
    return (
        rows.withColumn("content_hash", F.sha2(F.concat_ws("|", *values), 256)) if facts else rows
    )


def by_table(classified: DataFrame) -> dict[str, DataFrame]:
    """The rows that each table gets, by its key."""
    of = {name: classified.where(F.col("outcome") == name) for name in KIND_OF_TOPIC.values()}
    rejected = of["rejected"].select(
        "*",
        # What is no JSON has its source in the key, source|symbol, if anywhere.
        F.coalesce("m.source", _source_of_key()).alias("source"),
        # A record may claim any number, and a cast that overflows would stop the stage for good.
        F.expr("try_cast(m.schema_version AS INT)").alias("schema_version"),
    )
    return {
        CANDLES.key: typed(of["candle"], CANDLES, facts=CANDLE_FACTS),
        POLLS.key: typed(of["poll"], POLLS, facts=()),
        REJECTED.key: rejected,
        TICKS.key: typed(of["tick"], TICKS, facts=TICK_FACTS),
    }


def _source_of_key() -> Column:
    key = F.expr("try_cast(key AS STRING)")
    return F.when(key.contains("|"), F.substring_index(key, "|", 1))


def put_through_again(classified: DataFrame, given: StageInput) -> DataFrame:
    """Rows that were rejected before: `replayed` ones are typed already, others may still fail."""
    place = RECORDS.keys
    known = [
        given.known(table).where(F.col("is_replay")).select(*place)
        for table in (TICKS, CANDLES, POLLS)
    ]
    done = reduce(lambda a, b: a.unionByName(b), known).withColumn("is_done", F.lit(True))
    outcome = (
        F.when(F.col("is_done"), "replayed")
        .when(F.col("outcome") == "rejected", "still_rejected")
        .otherwise(F.col("outcome"))
    )
    return (
        classified.join(done, on=list(place), how="left")
        .withColumn("outcome", outcome)
        .withColumn("is_replay", F.lit(True))
    )


def run(given: StageInput) -> StageResult:
    classified = classify(parse(given.new[RECORDS.key]), market=given.market)
    if given.again:
        classified = put_through_again(classified, given)
    classified = given.keep(classified)
    outputs = by_table(classified)
    tables = {table.key: table for table in (CANDLES, POLLS, REJECTED, TICKS)}
    return StageResult(
        classified=(classified,),
        outputs={k: conform(v, tables[k], batch=given.batch) for k, v in outputs.items()},
        equations={
            "tick": TICKS.key,
            "candle": CANDLES.key,
            "poll": POLLS.key,
            "rejected": REJECTED.key,
        },
        cached=(classified,),
    )
