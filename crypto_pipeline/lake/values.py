"""A frame's rows as Arrow values in this process, and values as a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from pyspark.sql.types import StructType

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.connect.dataframe import DataFrame as ConnectFrame

# What a frame was made of, as long as somebody has the frame.
_held: WeakKeyDictionary[DataFrame, pa.Table] = WeakKeyDictionary()


def as_values(spark: SparkSession, frame: DataFrame, schema: StructType) -> DataFrame:
    """A frame of the same rows that is made of values here; itself where it is one."""
    return frame if frame in _held else as_frame(spark, rows_of(frame), schema)


def values_of(frame: DataFrame) -> pa.Table:
    """The rows of a frame that was made of values here."""
    return _held[frame]


def rows_of(frame: DataFrame) -> pa.Table:
    """The frame's rows; one round trip through Connect.

    `toArrow` asks for the schema first, which analyses the whole plan once more: 0.7 s a cycle.
    """
    if not hasattr(frame, "_to_table"):
        return frame.toArrow()
    values, _ = cast("ConnectFrame", frame)._to_table()
    return values


def as_frame(spark: SparkSession, values: pa.Table, schema: StructType) -> DataFrame:
    """Values as a frame; `schema` is what an empty one has, which Arrow alone would not tell."""
    empty = values.num_rows == 0
    frame = spark.createDataFrame([], schema) if empty else spark.createDataFrame(values)
    _held[frame] = values
    return frame
