"""Rows of a table as this process needs them to tell them on: no plan where they are few."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
from pyspark.sql import functions as F

from crypto_pipeline.lake.few_rows import of_batches, of_span
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.table import Table
from crypto_pipeline.lake.values import rows_of

if TYPE_CHECKING:
    import pyarrow as pa


def rows_told(
    lake: Lake,
    table: Table,
    columns: Sequence[str],
    *,
    since: datetime | None = None,
    symbols: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """Rows whose fact is not before `since`, of some symbols or of all; times are aware, UTC."""
    where = of_span(table, since=since, until=None)
    if symbols is not None:
        names = ", ".join("'" + name.replace("'", "''") + "'" for name in sorted(symbols))
        where = f"{where} AND symbol IN ({names or 'NULL'})"
    values = lake.few(table, where, {*columns, table.fact_column})
    if values is None:
        return list(_scanned(lake, table, columns, since, symbols).to_pylist())
    if since is not None:
        values = values.filter(pc.greater_equal(values.column(table.fact_column), since))
    return list(values.select(list(columns)).to_pylist())


def batches_told(
    lake: Lake, table: Table, columns: Sequence[str], *, after: int, to: int, since: datetime
) -> list[dict[str, Any]]:
    """Rows of the batches in (after, to] whose fact is not before `since`; times are aware, UTC."""
    where = f"{of_batches(after=after, to=to)} AND {of_span(table, since=since, until=None)}"
    values = lake.few(table, where, {*columns, table.fact_column})
    if values is None:
        frame = lake.read(table, since=since)
        batch = F.col("batch")
        values = rows_of(frame.where((batch > after) & (batch <= to)).select(*columns))
    else:
        values = values.filter(pc.greater_equal(values.column(table.fact_column), since))
    return list(values.select(list(columns)).to_pylist())


def _scanned(
    lake: Lake,
    table: Table,
    columns: Sequence[str],
    since: datetime | None,
    symbols: Collection[str] | None,
) -> pa.Table:
    frame = lake.read(table, since=since)
    if symbols is not None:
        frame = frame.where(F.col("symbol").isin(*sorted(symbols)))
    return rows_of(frame.select(*columns))
