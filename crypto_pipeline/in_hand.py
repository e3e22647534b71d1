"""A minute's result as values of this process: counted here, and written as they were counted.

A count in Spark takes longer than to fetch so few rows, and would compute them a second time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

import pyarrow.compute as pc
from pyspark.sql import functions as F

from crypto_pipeline.books import Counts
from crypto_pipeline.lake.table import Table
from crypto_pipeline.lake.values import as_values, rows_of, values_of
from crypto_pipeline.stage import Stage, StageResult

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession

OUTCOME, REPLACING, BYTES = "outcome", "replacing", "bytes"


def in_hand(spark: SparkSession, stage: Stage, result: StageResult) -> tuple[StageResult, Counts]:
    """The result with its outputs as values, and what `books.count` would say of it."""
    outputs = {t.key: as_values(spark, result.outputs[t.key], t.schema) for t in stage.outputs}
    rows = {key: values_of(frame) for key, frame in outputs.items()}
    found = _sums(result)
    counts = Counts(
        outcomes=found[OUTCOME],
        outputs={key: values.num_rows for key, values in rows.items()},
        spans={table.key: _span(rows[table.key], table) for table in stage.outputs},
        replacing={key: found[REPLACING][key] for key in result.slices},
        bytes=found[BYTES],
    )
    return replace(result, outputs=outputs), counts


def _sums(result: StageResult) -> dict[str, Counter[str]]:
    """What each kind of row adds up to by name: one plan without a shuffle, added up here."""
    one = F.lit(1).cast("long")
    parts = [
        _added(frame, OUTCOME, F.coalesce("outcome", F.lit("?")), one)
        for frame in result.classified
    ]
    parts += [
        _added(part.replacing, REPLACING, F.lit(key), one) for key, part in result.slices.items()
    ]
    if result.weights is not None:
        parts.append(_added(result.weights, BYTES, F.col("name"), F.col("bytes")))
    found: dict[str, Counter[str]] = {what: Counter() for what in (OUTCOME, REPLACING, BYTES)}
    for row in rows_of(reduce(lambda a, b: a.unionAll(b), parts)).to_pylist():
        found[row["what"]][row["name"]] += row["n"]
    return found


def _added(frame: DataFrame, what: str, name: Column, n: Column) -> DataFrame:
    return frame.select(F.lit(what).alias("what"), name.alias("name"), n.alias("n"))


def _span(values: pa.Table, table: Table) -> tuple[float | None, float | None]:
    """First and last instant that the rows are about, in epoch seconds."""
    ends = pc.min_max(values.column(table.fact_column)).as_py()
    first, last = ends["min"], ends["max"]
    return (None, None) if first is None else (first.timestamp(), last.timestamp())
