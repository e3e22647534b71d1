"""Topic → table: names and types change, bytes do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.stage import StageInput, StageResult, conform

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def record_bytes() -> Column:
    """Bytes of a record of Spark's Kafka source, or of raw: key, value and its headers' values."""
    nothing = F.lit(0)
    in_headers = F.aggregate(
        "headers", nothing, lambda total, header: total + _octets(header["value"])
    )
    return (_octets(F.col("key")) + _octets(F.col("value")) + F.coalesce(in_headers, nothing)).cast(
        "long"
    )


def _octets(binary: Column) -> Column:
    return F.coalesce(F.octet_length(binary), F.lit(0))


def records(kafka: DataFrame, given: StageInput) -> DataFrame:
    """Rows of Spark's Kafka source as rows of raw/records; the date is the broker's, UTC."""
    return kafka.select(
        "topic",
        F.lit(given.epoch).alias("epoch"),
        "partition",
        "offset",
        F.col("timestamp").alias("broker_at"),
        "key",
        "value",
        "headers",
        F.lit(given.now).alias("ingested_at"),
        F.to_date("timestamp").alias("date"),
    )


def run(given: StageInput) -> StageResult:
    # The count and the write would each fetch the range from the broker.
    rows = given.keep(conform(records(given.new["kafka"], given), RECORDS, batch=given.batch))
    return StageResult(
        classified=(rows.withColumn("outcome", F.lit("accepted")),),
        outputs={RECORDS.key: rows},
        equations={"accepted": RECORDS.key},
        weights=rows.select(F.col("topic").alias("name"), record_bytes().alias("bytes")),
        cached=(rows,),
    )
