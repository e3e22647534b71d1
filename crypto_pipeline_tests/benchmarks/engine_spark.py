"""The work of the comparison in the pipeline's Spark, by its own transforms and commit."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from crypto_pipeline.gold import volatility as gold
from crypto_pipeline.lake.commit import Write, commit
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.lake.tuning import tune
from crypto_pipeline_tests.benchmarks.engine_tables import LAST, NEWEST, TICKS, VOLATILITY, Task

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def append(spark: SparkSession, source: Path) -> DataFrame:
    return spark.read.schema(from_arrow_schema(TICKS)).parquet(str(source))


def last_of_a_minute(spark: SparkSession, source: Path) -> DataFrame:
    """Each id once, the first that came; of each symbol's minute the last poll."""
    ticks = spark.read.format("delta").load(str(source))
    copy = F.row_number().over(Window.partitionBy("id").orderBy("offset"))
    minute = F.date_trunc("minute", F.col("poll_at") - F.expr("INTERVAL 1 MICROSECOND"))
    newest = Window.partitionBy("source", "symbol", "minute_at").orderBy(F.col("poll_at").desc())
    return (
        ticks.withColumn("copy", copy)
        .where(F.col("copy") == 1)
        .withColumn("minute_at", minute)
        .withColumn("place", F.row_number().over(newest))
        .where(F.col("place") == 1)
        .withColumns({"close": F.col("price"), "fact_id": F.col("id")})
        .withColumn("date", F.to_date("minute_at"))
        .select(*LAST.names)
    )


def volatility(spark: SparkSession, source: Path) -> DataFrame:
    """The transform of `gold/volatility`, asked for its newest minute, by the stage's two reads."""
    candles = spark.read.format("delta").load(str(source))
    minute = (F.col("minute_at").cast("long") / 60).cast("long").alias("minute")
    asked = candles.where(F.col("minute_at") == F.lit(NEWEST)).select("source", "symbol", minute)
    last_hour = candles.where(F.col("minute_at") >= F.lit(NEWEST - timedelta(minutes=gold.HOUR)))
    measured = gold.measure(asked, gold.with_terms(candles), recent=gold.with_terms(last_hour))
    return measured.select(*VOLATILITY.names)


TASKS: dict[str, Callable[[SparkSession, Path], DataFrame]] = {
    "append": append,
    "last of a minute": last_of_a_minute,
    "volatility": volatility,
}


def run(spark: SparkSession, task: Task, *, rows: int, source: Path, target: Path) -> float:
    """Seconds of computing the task's rows and committing them as a stage does."""
    started = time.perf_counter()
    tune(spark, rows=rows)
    write = Write(
        path=str(target), rows=TASKS[task.name](spark, source), row_count=int(rows * task.share)
    )
    record = CommitRecord(
        stage=task.name,
        batch=1,
        write_id=str(uuid4()),
        ranges={},
        counts={},
        outputs={},
        code_version="benchmark",
    )
    commit(write, record)
    return time.perf_counter() - started
