"""A table's log as Spark tells it: for an engine whose files only its own catalog may open.

On Databricks the rights to a bucket are the session's, not the process's, so what is read
elsewhere from the log's files is asked for in SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Entries that are looked at when a table is opened: ours is nearly always among them.
LOOK = 5
# What Spark says of a name or a place without a table.
ABSENT = (
    "DELTA_MISSING_DELTA_TABLE",
    "DELTA_TABLE_NOT_FOUND",
    "TABLE_OR_VIEW_NOT_FOUND",
    "SCHEMA_NOT_FOUND",
    "PATH_NOT_FOUND",
    "DELTA_PATH_DOES_NOT_EXIST",
    "is not a Delta table",
    "doesn't exist",
)


def relation(path: str) -> str:
    """How SQL names a table: a catalog's name as it is, a place in backticks.

    >>> relation("market.gold.candles_1m"), relation("s3://lake/gold/candles_1m")
    ('market.gold.candles_1m', 'delta.`s3://lake/gold/candles_1m`')
    """
    return f"delta.`{path}`" if "/" in path else path


def load(spark: SparkSession, path: str) -> DataFrame:
    """The rows of a table by its name or place."""
    return spark.read.format("delta").load(path) if "/" in path else spark.read.table(path)


@dataclass(frozen=True, slots=True)
class Described:
    """What a table says of itself."""

    id: str
    configuration: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SparkTable:
    """The part of a `DeltaTable` that the planning of a stage needs; `newest` are entries."""

    spark: SparkSession
    path: str
    newest: Sequence[dict[str, Any]]

    def history(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Newest first; the time of an entry in milliseconds, as the log's files have it."""
        if limit is not None and limit <= LOOK:
            return list(self.newest[:limit])
        return entries(self.spark, self.path, limit=limit)

    def version(self) -> int:
        return int(self.newest[0]["version"])

    def metadata(self) -> Described:
        row = self.spark.sql(f"DESCRIBE DETAIL {relation(self.path)}").collect()[0]
        return Described(id=row["id"], configuration=dict(row["properties"]))

    def columns(self) -> tuple[tuple[str, str], ...]:
        fields = load(self.spark, self.path).schema.fields
        return tuple((f.name, f.dataType.simpleString()) for f in fields)


def open_in_spark(path: str) -> SparkTable | None:
    """The table of this name or place in the session of this process; None when there is none."""
    spark = SparkSession.builder.getOrCreate()
    try:
        return SparkTable(spark, path, entries(spark, path, limit=LOOK))
    except AnalysisException as error:
        if any(word in str(error) for word in ABSENT):
            return None
        raise


def entries(spark: SparkSession, path: str, *, limit: int | None) -> list[dict[str, Any]]:
    """The newest entries of a table's log, newest first."""
    newest = "" if limit is None else f" LIMIT {limit}"
    rows = spark.sql(f"DESCRIBE HISTORY {relation(path)}{newest}")
    picked = rows.selectExpr(
        "version", "unix_millis(timestamp) AS timestamp", "userMetadata", "operationMetrics"
    )
    return [row.asDict() for row in picked.collect()]
