"""The share of rows that a real and a fabricated table have alike, key by key."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable
from numpy.typing import NDArray

from crypto_pipeline.lake.table import Table
from crypto_pipeline.raw.schema import RECORDS

# What tells when a cycle was run, and not what it was about.
WHEN = ("broker_at", "ingested_at")
# Widths of bands are differences of what is nearly equal.
NEAR = 1e-6


def alike(real: Path, laid: Path, table: Table) -> float:
    """1 when every row of either is in the other with the same values, but for its time of day."""
    rows, others = (_sorted(folder, table) for folder in (real, laid))
    if rows.num_rows != others.num_rows:
        return 0.0
    left_out = {*WHEN, *(("date",) if table == RECORDS else ())}
    same = np.ones(rows.num_rows, dtype=bool)
    for name in set(table.columns) - left_out:
        same &= _equal(rows.column(name), others.column(name))
    return float(same.mean()) if len(same) else 1.0


def _sorted(folder: Path, table: Table) -> pa.Table:
    rows = DeltaTable(str(folder)).to_pyarrow_table()
    return rows.sort_by([(key, "ascending") for key in table.keys])


def _equal(column: pa.ChunkedArray, other: pa.ChunkedArray) -> NDArray[np.bool_]:
    if pa.types.is_floating(column.type):
        values, others = (one.to_numpy() for one in (column, other))
        return np.asarray(np.isclose(values, others, rtol=NEAR, atol=0.0, equal_nan=True))
    pairs = zip(column.to_pylist(), other.to_pylist(), strict=True)
    return np.fromiter((one == two for one, two in pairs), dtype=bool, count=len(column))
