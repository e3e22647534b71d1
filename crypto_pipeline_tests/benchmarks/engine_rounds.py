"""Rounds of the comparison: a task in Polars, then in Spark, over the same rows, and over again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_pipeline.embedded.running import services
from crypto_pipeline.embedded.spark_server import CORES
from crypto_pipeline.lake.log import row_count
from crypto_pipeline.lake.session import connect, disconnect
from crypto_pipeline.lake.spark_log import relation
from crypto_pipeline_tests.benchmarks import engine_polars, engine_spark
from crypto_pipeline_tests.benchmarks.engine_tables import Task, differences
from crypto_pipeline_tests.benchmarks.place import place
from crypto_pipeline_tests.benchmarks.polars_process import PolarsProcess, polars_process
from crypto_pipeline_tests.spark_memory import pid_of_spark, watched

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One task at one size, as (Polars, Spark): seconds in pairs, and the most MiB of each."""

    task: str
    rows: int
    seconds: Sequence[tuple[float, float]]
    memory: tuple[float, float]


def warm_ups(rows: int) -> int:
    """Rounds until Java has compiled what matters: many of few rows, few of many."""
    return 8 if rows < 100_000 else 2


@contextmanager
def results(task: Task, spark: SparkSession) -> Iterator[tuple[Path, Path]]:
    """An empty table for each engine; Spark has looked at its own, as it does after each cycle."""
    with tempfile.TemporaryDirectory() as folder:
        tables = Path(folder) / "polars", Path(folder) / "spark"
        for table in tables:
            task.create(table)
        spark.sql(f"DESCRIBE DETAIL {relation(str(tables[1]))}")
        yield tables


def one_round(
    task: Task, *, rows: int, inputs: Path, spark: SparkSession, polars: PolarsProcess, sums: bool
) -> tuple[float, float]:
    """Seconds of both; what they wrote has as many rows, and with `sums` the same content."""
    source = inputs / task.source
    with results(task, spark) as (other, ours):
        seconds = (
            polars.run(task, source=source, target=other),
            engine_spark.run(spark, task, rows=rows, source=source, target=ours),
        )
        counts = row_count(str(other)), row_count(str(ours))
        assert counts[0] == counts[1] > 0, f"{task.name}: {counts} rows"
        if sums:
            found = differences(engine_polars.told(other), engine_polars.told(ours))
            assert not found, f"{task.name}: {found}"
    return seconds


def compare(task: Task, *, rows: int, inputs: Path, pairs: int) -> Compared:
    with (
        place() as settings,
        services(settings, ["spark"]),
        polars_process(threads=CORES) as polars,
        watched(pid_of_spark(settings)) as memory,
    ):
        spark = connect(settings, role="benchmark")
        warm = warm_ups(rows)
        seconds = [
            one_round(
                task, rows=rows, inputs=inputs, spark=spark, polars=polars, sums=number == 0
            )
            for number in range(warm + pairs)
        ]  # fmt: skip
        disconnect(spark)
        peak = polars.peak_mebibytes, max(memory.samples)
    return Compared(task=task.name, rows=rows, seconds=seconds[warm:], memory=peak)
