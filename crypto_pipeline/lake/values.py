"""A frame's rows as Arrow values in this process, and values as a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pyspark.sql.types import StructType

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.connect.dataframe import DataFrame as ConnectFrame


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
    if values.num_rows == 0:
        return spark.createDataFrame([], schema)
    return spark.createDataFrame(values)
