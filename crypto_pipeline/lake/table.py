"""A table as data: its place, columns, keys and the way it may be written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pyspark.sql.types import (
    DataType,
    DateType,
    DecimalType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

Layer = Literal["raw", "bronze", "silver", "gold", "predictions"]

# Whose Spark writes a table: our own, or that of a Databricks workspace.
Engine = Literal["spark", "databricks"]

# append: rows are only added. slice: live rows are added, a late or corrected one rewrites its
# slice. overwrite: a small table about now, written whole.
WriteMode = Literal["append", "slice", "overwrite"]

PRICE = DecimalType(38, 18)

# Readers such as DuckDB and Polars know none of the newer features, so none is switched on.
PROPERTIES = {
    "delta.minReaderVersion": "1",
    "delta.minWriterVersion": "2",
    "delta.checkpointInterval": "50",
    # A minute's entry takes 20 KB of disk: seven days of all tables would be 2.5 GiB.
    "delta.logRetentionDuration": "interval 2 days",
    # Nothing of ours reads an older version for longer than a cycle's retries.
    "delta.deletedFileRetentionDuration": "interval 2 days",
}


def days_of(name: str) -> int:
    """Days of one of Delta's retentions, by its name without `delta.`."""
    return int(PROPERTIES[f"delta.{name}"].split()[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One Delta table. `schema` ends with `batch`; `fact_column` is the time the rows are about."""

    layer: Layer
    name: str
    schema: StructType
    keys: tuple[str, ...]
    partition_by: tuple[str, ...]
    write_mode: WriteMode
    fact_column: str
    description: str = field(compare=False)

    @property
    def key(self) -> str:
        return f"{self.layer}/{self.name}"

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.schema.fieldNames())

    @property
    def properties(self) -> dict[str, str]:
        """Properties of the Delta table.

        Statistics are kept of the columns that ranges ask for. Delta's own choice, the first 32,
        leaves `batch` out where a table is wider, and each increment would read every file.
        """
        asked = [name for name in (self.fact_column, "batch") if name in self.columns]
        return {**PROPERTIES, "delta.dataSkippingStatsColumns": ",".join(asked)}


def column(
    name: str, kind: DataType, comment: str, *, required: bool = False, added: bool = False
) -> StructField:
    """A column with the comment that the data dictionary prints.

    `required` is checked by our transforms, not by Delta, whose NOT NULL needs a newer protocol.
    `added` means that tables without it are about: it is added to them, null in their rows.
    """
    metadata = {"comment": comment, "required": required, "added": added}
    return StructField(name, kind, nullable=True, metadata=metadata)


def text(name: str, comment: str) -> StructField:
    return column(name, StringType(), comment)


def moment(name: str, comment: str) -> StructField:
    return column(name, TimestampType(), comment)


def price(name: str, comment: str) -> StructField:
    return column(name, PRICE, comment)


def whole(name: str, comment: str) -> StructField:
    return column(name, LongType(), comment)


COORDINATES = (
    text("topic", "Kafka topic of the record"),
    column("epoch", IntegerType(), "Epoch of the topic: raised when a re-created topic is adopted"),
    column("partition", IntegerType(), "Kafka partition of the record"),
    whole("offset", "Kafka offset of the record"),
    moment("broker_at", "When the broker appended the record, UTC"),
)
DATE = column("date", DateType(), "UTC date of the fact; the partition of the table")
BATCH = whole("batch", "Number of the stage's batch that wrote the row; readers go on from it")
