"""A table's few rows as values, read by its log without a Spark scan.

Spark asks a table's log in a query of its own before it plans a scan: for a minute's rows that
takes longer than all that is done with them. More values than FEW are Spark's to read.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from crypto_pipeline.lake.opening import open_delta
from crypto_pipeline.lake.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

# Rows times columns: a minute of 3,600 symbols with all of a table's columns, or a day of 20 with
# five of them.
FEW = 250_000
# A plan with long values in it is held by the server several times over.
FEW_BYTES = 16 * 1024 * 1024
# A file's greatest instant is written cut to the millisecond (Delta protocol, per-file statistics).
CUT = timedelta(milliseconds=1)


def few_rows(
    path: str, table: Table, *, where: str, columns: Collection[str] | None = None
) -> pa.Table | None:
    """The rows that hold a condition of SQL, in the table's types; None when they are many.

    Of the columns that are named, or all, and that the table has.
    Raises StoreAwayError when the object store does not answer or refuses.
    """
    import pyarrow as pa
    from deltalake import QueryBuilder

    opened = open_delta(path)
    if opened is None:
        return None
    have = {field.name for field in opened.schema().fields}
    wanted = have if columns is None else have.intersection(columns)
    schema = StructType([field for field in table.schema.fields if field.name in wanted])
    names = ", ".join(f'"{field.name}"' for field in schema.fields)
    most = FEW // len(schema.fields)
    found = (
        QueryBuilder()
        .register("rows", opened)
        .execute(f"SELECT {names} FROM rows WHERE {where} LIMIT {most + 1}")
        .read_all()
    )
    values = pa.table(found)
    is_few = values.num_rows <= most and values.nbytes <= FEW_BYTES
    return values.cast(to_arrow_schema(schema, timezone="UTC")) if is_few else None


def of_batches(*, after: int, to: int) -> str:
    return f"batch > {after} AND batch <= {to}"


def of_span(table: Table, *, since: datetime | None, until: datetime | None) -> str:
    """A condition that no row of the span fails; whoever reads cuts it to the span."""
    parts = []
    for limit, sign in ((since, ">="), (until, "<=")):
        if limit is None:
            continue
        if "date" in table.partition_by:
            parts.append(f"date {sign} DATE '{limit:%Y-%m-%d}'")
        wide = limit - CUT if sign == ">=" else limit
        parts.append(f"\"{table.fact_column}\" {sign} TIMESTAMP '{wide.isoformat()}'")
    return " AND ".join(parts) or "true"
