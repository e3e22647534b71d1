"""A minute's result counted in this process is what Spark would have counted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from crypto_pipeline import books
from crypto_pipeline.gold.schema import CANDLES_1M
from crypto_pipeline.in_hand import in_hand
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.stage import Slice, StageResult
from crypto_pipeline.stages import CANDLES, RAW
from crypto_pipeline_tests.builders import AT, MINUTE, frame, gold_candle, raw_row, read

pytestmark = [pytest.mark.spark, pytest.mark.integration]


def judged(rows: DataFrame, *outcomes: str | None) -> DataFrame:
    """The rows once for each outcome."""
    said = F.array(*(F.lit(one).cast("string") for one in outcomes))
    return rows.withColumn("outcome", F.explode(said))


def test_counts_spans_and_replaced_rows_are_the_same(spark: SparkSession) -> None:
    rows = frame(
        spark,
        CANDLES_1M,
        [gold_candle(AT + n * MINUTE + timedelta(microseconds=n)) for n in range(3)],
    )
    result = StageResult(
        outputs={CANDLES_1M.key: rows},
        classified=(judged(rows, "taken", "covered"), judged(rows.limit(1), None, "taken")),
        equations={},
        slices={CANDLES_1M.key: Slice(predicate="true", kept=rows, replacing=rows.limit(2))},
    )
    held, counts = in_hand(spark, CANDLES, result)
    expected = books.count(CANDLES, result)
    assert counts == expected
    assert counts.outcomes == {"taken": 4, "covered": 3, "?": 1}
    assert read(held.outputs[CANDLES_1M.key]) == read(rows)


def test_bytes_by_topic_and_a_result_without_rows_are_the_same(spark: SparkSession) -> None:
    some = [raw_row(b"12345", name=name) for name in ("market.ticks", "market.ticks", "other")]
    for rows in (frame(spark, RECORDS, some), frame(spark, RECORDS, [])):
        result = StageResult(
            outputs={RECORDS.key: rows},
            classified=(rows.withColumn("outcome", F.lit("accepted")),),
            equations={},
            weights=rows.select(
                F.col("topic").alias("name"), F.octet_length("value").cast("long").alias("bytes")
            ),
        )
        held, counts = in_hand(spark, RAW, result)
        assert counts == books.count(RAW, result)
        assert held.outputs[RECORDS.key].schema.simpleString() == rows.schema.simpleString()
