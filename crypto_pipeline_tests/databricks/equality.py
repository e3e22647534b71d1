"""Whether two tables hold the same rows: doubles to so many digits, everything else exactly."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from crypto_pipeline.lake.table import Table

Row = Mapping[str, Any]


def rows_of(table: DeltaTable, spec: Table, *, without: Collection[str] = ()) -> list[Row]:
    """The rows in the order of the table's keys, but for columns that are left out."""
    columns = [name for name in spec.columns if name not in without]
    rows: list[Row] = pa.table(table.to_pyarrow_table()).select(columns).to_pylist()
    keys = [name for name in spec.keys if name not in without]
    return sorted(rows, key=lambda row: [str(row[name]) for name in keys])


def assert_same(
    found: list[Row], expected: list[Row], spec: Table, *, tolerance: float = 1e-9
) -> None:
    assert len(found) == len(expected), spec.key
    for one, other in zip(found, expected, strict=True):
        for name, value in other.items():
            assert same(one[name], value, tolerance), (spec.key, name, one, other)


def same(one: object, other: object, tolerance: float) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=tolerance) or (
            math.isnan(one) and math.isnan(other)
        )
    return one == other
