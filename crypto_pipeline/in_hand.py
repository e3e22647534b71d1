"""A minute's result as values of this process: counted here, and written as they were counted.

A count in Spark takes longer than to fetch so few rows, and would compute them a second time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow.compute as pc
from pyspark.sql import functions as F

from crypto_pipeline.books import Counts
from crypto_pipeline.lake.table import Table
from crypto_pipeline.lake.values import as_frame, rows_of
from crypto_pipeline.stage import Stage, StageResult

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession


def in_hand(spark: SparkSession, stage: Stage, result: StageResult) -> tuple[StageResult, Counts]:
    """The result with its outputs as values, and what `books.count` would say of it."""
    rows = {table.key: rows_of(result.outputs[table.key]) for table in stage.outputs}
    outputs = {table.key: as_frame(spark, rows[table.key], table.schema) for table in stage.outputs}
    counts = Counts(
        outcomes=_outcomes(result),
        outputs={key: values.num_rows for key, values in rows.items()},
        spans={table.key: _span(rows[table.key], table) for table in stage.outputs},
        replacing={key: _size(part.replacing) for key, part in result.slices.items()},
        bytes=_bytes(result.weights),
    )
    return replace(result, outputs=outputs), counts


def _outcomes(result: StageResult) -> dict[str, int]:
    names = (
        row["outcome"] or "?"
        for frame in result.classified
        for row in rows_of(frame.select("outcome")).to_pylist()
    )
    return dict(Counter(names))


def _span(values: pa.Table, table: Table) -> tuple[float | None, float | None]:
    """First and last instant that the rows are about, in epoch seconds."""
    ends = pc.min_max(values.column(table.fact_column)).as_py()
    first, last = ends["min"], ends["max"]
    return (None, None) if first is None else (first.timestamp(), last.timestamp())


def _size(frame: DataFrame) -> int:
    return int(rows_of(frame.select(F.lit(1).alias("n"))).num_rows)


def _bytes(weights: DataFrame | None) -> dict[str, int]:
    total: Counter[str] = Counter()
    if weights is not None:
        for row in rows_of(weights.select("name", "bytes")).to_pylist():
            total[row["name"]] += row["bytes"]
    return dict(total)
