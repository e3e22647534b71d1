"""Silver: each fact once; what is not taken is set aside by reference, with its reason."""

from __future__ import annotations

from pyspark.sql.types import BooleanType, DoubleType, IntegerType, StructType

from crypto_pipeline.bronze.schema import CANDLE_FIELDS, CONTENT, IDENTITY, TICK_FIELDS
from crypto_pipeline.lake.table import (
    BATCH,
    COORDINATES,
    DATE,
    Table,
    column,
    moment,
    text,
    whole,
)

LATE = column(
    "is_late", BooleanType(), "A newer fact of the same source and symbol was there first"
)

TICKS = Table(
    layer="silver",
    name="ticks",
    description="One tick: unique id, repeats removed",
    schema=StructType(
        [
            *IDENTITY,
            *TICK_FIELDS,
            column("age", DoubleType(), "Seconds from the venue's time to our observation"),
            LATE,
            *CONTENT,
            *COORDINATES,
            DATE,
            BATCH,
        ]
    ),
    keys=("id",),
    partition_by=("date",),
    write_mode="append",
    fact_column="poll_at",
)
CANDLES = Table(
    layer="silver",
    name="candles",
    description="One revision of a closed exchange candle",
    schema=StructType([*IDENTITY, *CANDLE_FIELDS, LATE, *CONTENT, *COORDINATES, DATE, BATCH]),
    keys=("id",),
    partition_by=("date",),
    write_mode="append",
    fact_column="open_at",
)
SET_ASIDE = Table(
    layer="silver",
    name="set_aside",
    description="One row that is a duplicate, a conflict or too late; its bytes are in raw",
    schema=StructType(
        [
            text("id", "Id of the fact"),
            text("kind", "tick or candle"),
            text("reason", "duplicate, conflict or too_late"),
            text("source", "Source of the fact"),
            text("symbol", "BASE-QUOTE"),
            moment("fact_at", "The instant the fact is about, UTC"),
            text("content_hash", "SHA-256 of the values that were not taken"),
            *COORDINATES,
            DATE,
            BATCH,
        ]
    ),
    keys=("topic", "epoch", "partition", "offset"),
    partition_by=("date",),
    write_mode="append",
    fact_column="fact_at",
)
GAPS = Table(
    layer="silver",
    name="gaps",
    description="One state change of an interval without candles; the newest row of a minute holds",
    schema=StructType(
        [
            text("source", "Source that owed the candles"),
            text("symbol", "BASE-QUOTE"),
            moment("from_at", "First minute of the interval, UTC"),
            moment("to_at", "First minute after the interval, UTC; not past the end of the day"),
            whole("minutes", "Minutes in the interval"),
            text("cause", "no_poll, source_down, halted or served_never_received"),
            text("state", "open, repaired or given_up"),
            column("tries", IntegerType(), "Fetches that the venue answered without these candles"),
            moment("decided_at", "When the batch that says so was planned, UTC"),
            DATE,
            BATCH,
        ]
    ),
    keys=("source", "symbol", "from_at", "batch"),
    partition_by=("date",),
    write_mode="append",
    fact_column="from_at",
)
