"""Tables with a past, made fast: Spark creates them, minutes are committed without it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from crypto_pipeline.lake import log
from crypto_pipeline.lake.log import CommitRecord

if TYPE_CHECKING:
    from crypto_pipeline.lake.location import Lake
    from crypto_pipeline.lake.table import Table

# The files of a log are as old as they are.
NOW = datetime.now(UTC)
TODAY = NOW.date()


def commit_minutes(
    lake: Lake, table: Table, days: Sequence[date], *, first_batch: int = 1, symbols: int = 2
) -> list[dict[str, Any]]:
    """One commit of ours a given day, a file each; returns the rows that were written."""
    lake.ensure(table)
    written: list[dict[str, Any]] = []
    for batch, day in enumerate(days, start=first_batch):
        rows = [_row(table, day=day, batch=batch, number=n) for n in range(symbols)]
        _commit(lake.path(table), rows, batch)
        written += rows
    return written


def rows_of(path: str) -> list[dict[str, Any]]:
    """All rows, in an order that does not depend on files."""
    return sorted(DeltaTable(path).to_pyarrow_table().to_pylist(), key=repr)


def age(path: str, *, days: float) -> None:
    """Make every file of a table, its log included, look that much older."""
    for file in Path(path).rglob("*"):
        if file.is_file():
            moved = file.stat().st_mtime - days * 86_400
            os.utime(file, (moved, moved))


def _row(table: Table, *, day: date, batch: int, number: int) -> dict[str, Any]:
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=batch)
    made: dict[str, Any] = {
        "string": f"s{batch}-{number}",
        "bigint": batch * 100 + number,
        "int": number,
        "double": batch + number / 8,
        "boolean": batch % 2 == 0,
        "timestamp": at,
        "date": day,
        "decimal(38,18)": Decimal(batch * 100 + number).scaleb(-3),
    }
    row = {f.name: made.get(f.dataType.simpleString()) for f in table.schema.fields}
    return row | {"batch": batch}


def _commit(path: str, rows: list[dict[str, Any]], batch: int) -> None:
    record = CommitRecord(
        stage="test",
        batch=batch,
        write_id=f"write-{batch}",
        ranges={"batches": {"after": batch - 1, "to": batch}, "pinned": {}},
        counts={"in": len(rows)},
        outputs={},
        code_version="test",
    )
    schema = pa.schema(DeltaTable(path).schema().to_arrow())
    write_deltalake(
        path,
        pa.Table.from_pylist(rows, schema=schema),
        mode="append",
        commit_properties=CommitProperties(
            custom_metadata={"userMetadata": record.user_metadata()},
            app_transactions=[Transaction(log.app_id(path), batch)],
        ),
    )


def entries(path: str) -> list[dict[str, Any]]:
    """What the log still says of itself, oldest first, from the files of its commits."""
    found = []
    for file in sorted(Path(path, "_delta_log").glob("*.json")):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        found += [line["commitInfo"] for line in lines if "commitInfo" in line]
    return found
