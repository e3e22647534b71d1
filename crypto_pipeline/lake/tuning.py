"""How Spark runs the plans of a stage: interpreted for a minute, compiled for a backlog."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from pyspark.errors import PySparkException
from pyspark.sql.types import StructType

from crypto_pipeline.lake.table import Engine
from crypto_pipeline.lake.values import as_frame, rows_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Compiling a plan pays only over many rows: a minute's cycle took 16 s interpreted and 25 s
# compiled (20 symbols, 2 cores), because each batch number makes a new plan to compile.
COMPILED_ROWS = 10_000
# The same for a plan in which each row of the range looks at many others.
COMPILED_LOOKS = 200_000
# Rows of more bytes than so many a row count for more: each is held several times over, and 95 MB
# in a hundred rows took all of a heap of 2 GB.
BYTES_A_ROW = 1_600
INTERPRETED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    # An interpreted filter looks at the values before their query has run: "has not finished".
    "spark.sql.optimizer.dynamicPartitionPruning.enabled": "false",
    # One task a step and no broadcasts, each a job of its own: 7 % of a cycle of 20 symbols.
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.leafNodeDefaultParallelism": "1",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
}
# The other settings of INTERPRETED are then the server's own.
OWN = "crypto_pipeline.own."
COMPILED = {
    "spark.sql.codegen.wholeStage": "true",
    "spark.sql.codegen.factoryMode": "FALLBACK",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.optimizer.dynamicPartitionPruning.enabled": "true",
}
# How each session of this process was set last: to say it again costs a round trip a setting.
_last: WeakKeyDictionary[SparkSession, bool] = WeakKeyDictionary()


def as_rows(rows: int, size: int) -> int:
    """What rows of so many bytes count for wherever many are treated otherwise than few.

    >>> as_rows(41, 40_000), as_rows(41, 41_000_000)
    (41, 25625)
    """
    return max(rows, size // BYTES_A_ROW)


def tune(spark: SparkSession, *, rows: int, engine: Engine = "spark") -> None:
    """Set the session for so many rows. Databricks plans by itself, and serverless refuses."""
    are_many = rows > COMPILED_ROWS
    if engine == "databricks" or _last.get(spark) is are_many:
        return
    _last[spark] = are_many
    own = {name: _own(spark, name) for name in INTERPRETED if name not in COMPILED}
    for name, value in ({**COMPILED, **own} if are_many else INTERPRETED).items():
        if value is None:
            spark.conf.unset(name)
        else:
            spark.conf.set(name, value)


def _own(spark: SparkSession, name: str) -> str | None:
    """The server's own value, noted in the session before it is changed for the first time.

    What is unset in a session goes back to Spark's default, not to what the server was given.
    """
    noted = spark.conf.get(OWN + name, None)
    if noted is None:
        noted = spark.conf.get(name, None) or ""
        spark.conf.set(OWN + name, noted)
    return noted or None


def kept(frame: DataFrame, *, rows: int, reach: int = 1, engine: Engine = "spark") -> DataFrame:
    """The frame, computed once: Spark's cache, or for a minute's rows its values in the plan.

    `reach` is how many rows of a table each of them looks at: over many a plan is compiled for
    few rows too. Through Connect every query on a cached frame is analysed from its sources on;
    values cut that short. Databricks' Spark is older than what they need, and serverless has no
    cache: there the frame is computed anew each time, from a range that is pinned.
    """
    if engine == "databricks":
        with suppress(PySparkException):
            return frame.cache()
        return frame
    if rows > COMPILED_ROWS:
        return frame.cache()
    with _compiled(frame.sparkSession, rows=rows, looks=rows * reach):
        values = rows_of(frame)
    # Only an empty one needs its schema, which is a round trip.
    schema = StructType() if values.num_rows else frame.schema
    return as_frame(frame.sparkSession, values, schema)


@contextmanager
def _compiled(spark: SparkSession, *, rows: int, looks: int) -> Iterator[None]:
    """Compile what is run meanwhile when it looks at many rows."""
    if looks <= COMPILED_LOOKS:
        yield
        return
    tune(spark, rows=COMPILED_ROWS + 1)
    try:
        yield
    finally:
        tune(spark, rows=rows)


def all_kept(*frames: DataFrame, rows: int, engine: Engine = "spark") -> list[DataFrame]:
    """The same for frames that do not need one another, side by side."""
    with ThreadPoolExecutor(max_workers=len(frames)) as pool:
        return list(pool.map(lambda frame: kept(frame, rows=rows, engine=engine), frames))


def is_in_hand(*, rows: int, engine: Engine = "spark") -> bool:
    """Whether a stage's rows are so few that this process holds them as values."""
    return engine == "spark" and rows <= COMPILED_ROWS


def release(frames: Iterable[DataFrame], *, rows: int, engine: Engine = "spark") -> None:
    """Give back what `kept` has cached for so many rows; values in a plan hold nothing."""
    if engine == "databricks":
        with suppress(PySparkException):
            for frame in frames:
                frame.unpersist()
    elif rows > COMPILED_ROWS:
        for frame in frames:
            frame.unpersist()
