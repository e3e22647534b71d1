"""Bytes → typed rows. Every record ends in exactly one of four tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BooleanType, LongType, StringType, StructField, StructType

from crypto_pipeline.bronze.schema import (
    CANDLE_FIELDS,
    CANDLES,
    POLLS,
    REJECTED,
    TICK_FIELDS,
    TICKS,
)
from crypto_pipeline.contract import topic
from crypto_pipeline.contract.message import SCHEMA_VERSION
from crypto_pipeline.lake.table import BATCH, COORDINATES, Table
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.stage import StageInput, StageResult, conform

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# DECIMAL(38,18) keeps 18 places and 20 digits before them; more would be rounded in silence.
EXACT_DECIMAL = r"^-?0*\d{1,20}(\.\d{0,18}0*)?$"
SYMBOL = r"^[A-Z0-9]{1,20}-[A-Z0-9]{2,10}$"
# A cast alone takes "10:05" for today and a time without an offset for UTC.
INSTANT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$"
# A day is added to and taken from a fact's time; the ends of the calendar would not hold it.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)

# Facts only: two reports of one fact may differ in when we saw it and how it was worded.
TICK_FACTS = (
    "price", "bid", "ask", "bid_size", "ask_size", "open_24h", "high_24h", "low_24h",
    "volume_24h", "quote_volume_24h", "market_cap", "trades_24h", "mark", "event_at",
)  # fmt: skip
CANDLE_FACTS = ("open", "high", "low", "close", "volume")

POLL_FIELDS = tuple(f for f in POLLS.schema.fields if f not in (*COORDINATES, BATCH))

LISTS = tuple(f.name for f in POLL_FIELDS if f.dataType.typeName() == "array")

KIND_OF_TOPIC = {
    topic.TICKS.name: "tick",
    topic.CANDLES.name: "candle",
    topic.POLLS.name: "poll",
    topic.REJECTED.name: "rejected",
}


def message_schema() -> StructType:
    """All fields of all kinds as text, so that a wrong type is found by a rule, not by a parser."""
    names = dict.fromkeys(
        f.name
        for table in (TICKS, CANDLES, POLLS)
        for f in table.schema.fields
        if f.name not in (*LISTS, "is_unchanged", "is_backfill", "batch", "date")
    )
    fields = [StructField(name, StringType()) for name in ("kind", "detail", "body", *names)]
    return StructType(
        [
            *fields,
            StructField("schema_version", LongType()),
            *(StructField(name, ArrayType(StringType())) for name in LISTS),
            StructField("is_unchanged", BooleanType()),
            StructField("is_backfill", BooleanType()),
        ]
    )


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
    )


def classify(parsed: DataFrame, *, market: str) -> DataFrame:
    """Add `reason` (null = good), `rule` and `outcome`: tick, candle, poll or rejected."""
    reasons = _reasons(market)
    reason = F.coalesce(*(F.when(broken, F.lit(code)) for code, _, broken in reasons))
    rule = F.coalesce(
        F.when(F.col("expected") == "rejected", F.col("m.detail")),
        *(F.when(F.col("reason") == code, F.lit(words)) for code, words, _ in reasons),
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


def _reasons(market: str) -> list[tuple[str, str, Column]]:
    """Reason code, rule in words, and the column that is true when the rule is broken."""
    m = {name: F.col(f"m.{name}") for name in message_schema().fieldNames()}
    kind = F.col("expected")
    tick, candle = kind == "tick", kind == "candle"
    fact = tick | candle
    return [
        ("not_json", "the value is a JSON object", m["kind"].isNull() & m["id"].isNull()),
        ("unknown_kind", "the record is of its topic's kind", ~m["kind"].eqNullSafe(kind)),
        (
            "schema_version",
            f"schema_version is 1 to {SCHEMA_VERSION}",
            ~F.coalesce(m["schema_version"].between(1, SCHEMA_VERSION), F.lit(False)),
        ),
        (
            "other_market",
            f"the record's market is {market}",
            ~m["market"].eqNullSafe(F.lit(market)),
        ),
        (
            "missing_field",
            "id, source and the clocks are there",
            m["id"].isNull()
            | m["source"].isNull()
            | (fact & (m["symbol"].isNull() | m["observed_at"].isNull()))
            | (tick & (m["poll_at"].isNull() | m["price"].isNull()))
            | (candle & _any_null(m, ("open_at", *CANDLE_FACTS)))
            | ((kind == "poll") & _any_null(m, ("poll_at", "outcome", "purpose"))),
        ),
        ("bad_symbol", "the symbol is BASE-QUOTE", fact & ~m["symbol"].rlike(SYMBOL)),
        (
            "bad_time",
            "times are ISO-8601 with an offset, 2000 to 2100; a candle opens on a whole minute",
            _any_bad_time(m) | (candle & F.coalesce(_is_within_minute("open_at"), F.lit(False))),
        ),
        ("bad_number", "numbers are decimals that DECIMAL(38,18) holds exactly", _any_inexact(m)),
        (
            "not_positive",
            "prices are above zero, volumes are not below it",
            (tick & (_number("price") <= 0))
            | (
                candle & ((F.least(*map(_number, CANDLE_FACTS[:4])) <= 0) | (_number("volume") < 0))
            ),
        ),
        (
            "crossed",
            "the bid is not above the ask; high and low embrace open and close",
            F.coalesce(tick & (_number("bid") > _number("ask")), F.lit(False))
            | F.coalesce(
                candle
                & (
                    (_number("high") < F.greatest(*map(_number, ("open", "low", "close"))))
                    | (_number("low") > F.least(_number("open"), _number("close")))
                ),
                F.lit(False),
            ),
        ),
    ]


def _names(type_name: str) -> list[str]:
    fields = (*TICK_FIELDS, *CANDLE_FIELDS, *POLL_FIELDS)
    return list(dict.fromkeys(f.name for f in fields if f.dataType.typeName() == type_name))


def _number(name: str) -> Column:
    return F.expr(f"try_cast(m.{name} AS DECIMAL(38,18))")


def _any_null(m: dict[str, Column], names: tuple[str, ...]) -> Column:
    broken = F.lit(False)
    for name in names:
        broken = broken | m[name].isNull()
    return broken


def _time(name: str) -> Column:
    return F.expr(f"try_cast(m.{name} AS TIMESTAMP)")


def _is_within_minute(name: str) -> Column:
    return F.date_trunc("minute", _time(name)) != _time(name)


def _any_bad_time(m: dict[str, Column]) -> Column:
    broken = F.lit(False)
    for name in _names("timestamp"):
        is_good = m[name].rlike(INSTANT) & _time(name).between(F.lit(EARLIEST), F.lit(LATEST))
        broken = broken | (m[name].isNotNull() & ~F.coalesce(is_good, F.lit(False)))
    return broken


def _any_inexact(m: dict[str, Column]) -> Column:
    broken = F.lit(False)
    for name in _names("decimal"):
        broken = broken | (m[name].isNotNull() & ~m[name].rlike(EXACT_DECIMAL))
    for name in _names("long"):
        broken = broken | (m[name].isNotNull() & ~m[name].rlike(r"^\d{1,18}$"))
    return broken


def typed(classified: DataFrame, table: Table, *, facts: tuple[str, ...]) -> DataFrame:
    """The rows of one kind with the table's types; the date is the fact's, UTC."""
    own = {"topic", "epoch", "partition", "offset", "broker_at", "date", "batch", "content_hash"}
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
    rows = classified.select("topic", "epoch", "partition", "offset", "broker_at", *columns)
    rows = rows.withColumn("date", F.to_date(table.fact_column))
    return (
        rows.withColumn("content_hash", F.sha2(F.concat_ws("|", *values), 256)) if facts else rows
    )


def run(given: StageInput) -> StageResult:
    classified = classify(parse(given.new[RECORDS.key]), market=given.market).cache()
    of = {name: classified.where(F.col("outcome") == name) for name in KIND_OF_TOPIC.values()}
    rejected = of["rejected"].select(
        "*",
        F.col("m.source").alias("source"),
        # A record may claim any number, and a cast that overflows would stop the stage for good.
        F.expr("try_cast(m.schema_version AS INT)").alias("schema_version"),
    )
    outputs = {
        CANDLES.key: typed(of["candle"], CANDLES, facts=CANDLE_FACTS),
        POLLS.key: typed(of["poll"], POLLS, facts=()),
        REJECTED.key: rejected,
        TICKS.key: typed(of["tick"], TICKS, facts=TICK_FACTS),
    }
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
