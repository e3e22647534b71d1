"""raw/records: one Kafka record, bytes untouched."""

from __future__ import annotations

from pyspark.sql.types import ArrayType, BinaryType, StringType, StructField, StructType

from crypto_pipeline.lake.table import BATCH, COORDINATES, DATE, Table, column, moment

HEADER = StructType([StructField("key", StringType()), StructField("value", BinaryType())])

RECORDS = Table(
    layer="raw",
    name="records",
    description="One Kafka record: its bytes, its coordinates, its broker time",
    schema=StructType(
        [
            *COORDINATES,
            column("key", BinaryType(), "Key bytes: source|symbol"),
            column("value", BinaryType(), "Value bytes as they came"),
            column("headers", ArrayType(HEADER), "Kafka headers, if any"),
            moment("ingested_at", "When the stage that wrote the row planned its range, UTC"),
            DATE,
            BATCH,
        ]
    ),
    keys=("topic", "epoch", "partition", "offset"),
    partition_by=("date", "topic"),
    write_mode="append",
    fact_column="broker_at",
)
