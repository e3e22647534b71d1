"""Columns of Arrow as Spark writes them: decimals of 18 places, instants in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema

from crypto_pipeline.lake.table import Table
from crypto_pipeline_tests.fabricated.market import Numbers

PRICE = pa.decimal128(38, 18)
INSTANT = pa.timestamp("us", tz="UTC")
MICROSECONDS = 1_000_000


def schema_of(table: Table) -> pa.Schema:
    return to_arrow_schema(table.schema, timezone="UTC")


def decimals(hundredths: Numbers) -> pa.Array:
    """Hundredths as decimal(38,18): times 10^16, in two steps that 64 bits can hold."""
    eighth = hundredths.ravel() * 10**8
    low = (eighth & 0xFFFFFFFF).astype(np.uint64) * np.uint64(10**8)
    high = (eighth >> 32) * 10**8
    words = np.empty((eighth.size, 2), dtype=np.uint64)
    words[:, 0] = (high.astype(np.uint64) << np.uint64(32)) + low
    carry = (words[:, 0] < low).astype(np.int64)
    words[:, 1] = ((high >> 32) + carry).astype(np.uint64)
    return pa.Array.from_buffers(PRICE, eighth.size, [None, pa.py_buffer(words.tobytes())])


def instants(microseconds: Numbers) -> pa.Array:
    return pa.array(microseconds.ravel(), pa.int64()).cast(INSTANT)


def micros(moment: datetime) -> int:
    return round(moment.timestamp()) * MICROSECONDS + moment.microsecond


def doubles(values: np.ndarray[Any, np.dtype[np.float64]]) -> pa.Array:
    """What is not a number has no value in the lake."""
    flat = values.ravel()
    return pa.array(flat, pa.float64(), mask=~np.isfinite(flat))


def table_of(table: Table, columns: Mapping[str, Any], rows: int) -> pa.Table:
    """The declared columns, in order; a plain value is that of all rows, a missing one null."""
    schema = schema_of(table)
    arrays = [_column(columns.get(field.name), field.type, rows) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _column(value: Any, kind: pa.DataType, rows: int) -> pa.Array:
    if value is None:
        return pa.nulls(rows, kind)
    if isinstance(value, pa.Array | pa.ChunkedArray):
        return value.cast(kind)
    if isinstance(value, list):
        return pa.array(value, kind)
    if isinstance(value, np.ndarray):
        return pa.array(value.ravel()).cast(kind)
    return pa.repeat(pa.scalar(value, kind), rows)
