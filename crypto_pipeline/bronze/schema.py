"""Bronze: typed rows of what travelled, and what could not be typed, with its reason."""

from __future__ import annotations

from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    IntegerType,
    StringType,
    StructType,
)

from crypto_pipeline.lake.table import (
    BATCH,
    COORDINATES,
    DATE,
    Table,
    column,
    moment,
    price,
    text,
    whole,
)

IDENTITY = (
    text("id", "Id of the fact"),
    text("market", "live, simulated or recorded"),
    text("source", "Where the fact comes from: venue, simulator:<venue>:<seed>, recorded:<folder>"),
    text("venue", "Venue whose dialect the source speaks"),
    text("symbol", "BASE-QUOTE"),
)
CONTENT = (
    text("endpoint", "Endpoint that served the record"),
    text("record", "The venue's own text, byte for byte"),
    text("content_hash", "SHA-256 of the fact's values: equal ids must have equal hashes"),
)
REPLAYED = column(
    "is_replay",
    BooleanType(),
    "True: was rejected first and put through again; else null",
    added=True,
)
TICK_FIELDS = (
    moment("poll_at", "Scheduled instant of the poll, UTC"),
    moment("observed_at", "When the answer reached us, UTC"),
    moment("event_at", "The venue's own time, UTC; null where it gives none"),
    price("price", "Last price in quote units"),
    price("bid", "Best bid"),
    price("ask", "Best ask"),
    price("bid_size", "Size at the best bid, base units"),
    price("ask_size", "Size at the best ask, base units"),
    price("open_24h", "Price 24 hours before"),
    price("high_24h", "Highest price of 24 hours"),
    price("low_24h", "Lowest price of 24 hours"),
    price("volume_24h", "Volume of 24 hours, base units"),
    price("quote_volume_24h", "Volume of 24 hours, quote units"),
    price("market_cap", "Market capitalisation, quote units; reference sources only"),
    whole("trades_24h", "Trades in 24 hours"),
    text("mark", "The venue's sign of change: trade id, last id or last update"),
    column("is_unchanged", BooleanType(), "The venue's mark repeats since the poll before"),
)
CANDLE_FIELDS = (
    moment("open_at", "First instant of the minute, UTC"),
    moment("observed_at", "When the answer reached us, UTC"),
    moment("event_at", "Last instant of the minute by the venue, UTC"),
    price("open", "First price"),
    price("high", "Highest price"),
    price("low", "Lowest price"),
    price("close", "Last price"),
    price("volume", "Volume, base units"),
    price("quote_volume", "Volume, quote units"),
    whole("trades", "Trades; 0 is a minute without a trade"),
    column("is_backfill", BooleanType(), "Fetched as history: never too late"),
)

TICKS = Table(
    layer="bronze",
    name="ticks",
    description="One parsed tick message with its coordinates",
    schema=StructType([*IDENTITY, *TICK_FIELDS, *CONTENT, REPLAYED, *COORDINATES, DATE, BATCH]),
    keys=("topic", "epoch", "partition", "offset"),
    partition_by=("date",),
    write_mode="append",
    fact_column="poll_at",
)
CANDLES = Table(
    layer="bronze",
    name="candles",
    description="One parsed candle message with its coordinates",
    schema=StructType([*IDENTITY, *CANDLE_FIELDS, *CONTENT, REPLAYED, *COORDINATES, DATE, BATCH]),
    keys=("topic", "epoch", "partition", "offset"),
    partition_by=("date",),
    write_mode="append",
    fact_column="open_at",
)
POLLS = Table(
    layer="bronze",
    name="polls",
    description="One poll of one venue: what was asked, served, published, unchanged, rejected",
    schema=StructType(
        [
            *(f for f in IDENTITY if f.name != "symbol"),
            moment("poll_at", "Scheduled instant of the poll, UTC"),
            moment("started_at", "When the poll began, UTC"),
            moment("ended_at", "When its last answer was read, UTC"),
            text("endpoint", "Endpoint that served the snapshot"),
            text("purpose", "minute, history, backfill or repair"),
            text("outcome", "ok, partial, transient, told_to_wait, permanent, wrong_content"),
            text("reason", "Why the outcome is not ok"),
            column("symbols_asked", ArrayType(StringType()), "Symbols the poll asked for"),
            whole("served", "Rows the venue served"),
            whole("published", "Ticks that say something new"),
            whole("unchanged", "Ticks whose mark repeats"),
            whole("rejected", "Rows that yielded no tick"),
            whole("candles", "Candles that rode along"),
            whole("budget_used", "Request weight used in the venue's window"),
            text("venue_reason", "Why this venue was asked; null where it is the first in line"),
            moment("newest_event_at", "The venue's newest time among the ticks, UTC"),
            moment("until_at", "End of the candles fetched, from poll_at on; null for a minute"),
            column(
                "candles_due",
                ArrayType(StringType()),
                "Symbols whose just-closed candle the poll was to bring",
            ),
            column(
                "candles_missed",
                ArrayType(StringType()),
                "Symbols whose candle request got no answer, or none to rely on",
            ),
            REPLAYED,
            *COORDINATES,
            DATE,
            BATCH,
        ]
    ),
    keys=("topic", "epoch", "partition", "offset"),
    partition_by=("date",),
    write_mode="append",
    fact_column="poll_at",
)
REJECTED = Table(
    layer="bronze",
    name="rejected",
    description="One record that does not parse or breaks a rule, with its bytes and its reason",
    schema=StructType(
        [
            text("reason", "Reason code"),
            text("rule", "The rule in words, or what the source said"),
            text("source", "Source named in the record, if any"),
            column("value", BinaryType(), "Value bytes as they came"),
            column("schema_version", IntegerType(), "Version the record claims"),
            *COORDINATES,
            DATE,
            BATCH,
        ]
    ),
    keys=("topic", "epoch", "partition", "offset"),
    partition_by=("date",),
    write_mode="append",
    fact_column="broker_at",
)
