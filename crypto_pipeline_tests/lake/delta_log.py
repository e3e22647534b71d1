"""Delta tables written without a JVM: commits of ours, and commits of maintenance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from crypto_pipeline import formats
from crypto_pipeline.lake import log
from crypto_pipeline.lake.log import CommitRecord

ROWS = pa.table({"n": [1, 2, 3]})


def record(
    batch: int,
    *,
    ranges: Mapping[str, Any] | None = None,
    outputs: Mapping[str, list[Any]] | None = None,
    write_id: str = "w",
) -> CommitRecord:
    return CommitRecord(
        stage="bronze",
        batch=batch,
        write_id=write_id,
        ranges=dict(ranges or {"batches": {"after": batch - 1, "to": batch}, "pinned": {}}),
        counts={"in": 3},
        outputs=dict(outputs or {}),
        code_version="test",
    )


def make_table(path: Path | str, *, table_format: int | None = formats.FORMAT) -> None:
    """An empty table with the mark of a format, or without one."""
    DeltaTable.create(
        str(path),
        ROWS.schema,
        configuration={} if table_format is None else {formats.PROPERTY: str(table_format)},
        raise_if_key_not_exists=False,
    )


def write_commit(
    path: Path | str, commit: CommitRecord, *, options: dict[str, str] | None = None
) -> None:
    """One commit with our metadata and transaction, as Spark writes it; `options` are a store's."""
    place = str(path)
    write_deltalake(
        place,
        ROWS,
        mode="append",
        storage_options=options,
        commit_properties=CommitProperties(
            custom_metadata={"userMetadata": commit.user_metadata()},
            app_transactions=[Transaction(log.app_id(place), commit.batch)],
        ),
    )


def write_foreign(path: Path | str, times: int = 1) -> None:
    """Commits without our metadata, as maintenance leaves them."""
    for _ in range(times):
        write_deltalake(str(path), ROWS, mode="append")


def compact(path: Path | str) -> None:
    DeltaTable(str(path)).optimize.compact()


def write_again(path: Path | str, commit: CommitRecord) -> None:
    """The newest range once more, without rows and transaction, as maintenance keeps it."""
    write_deltalake(
        str(path),
        ROWS.slice(0, 0),
        mode="append",
        commit_properties=CommitProperties(
            custom_metadata={"userMetadata": commit.user_metadata()}
        ),
    )


def clean_up(path: Path | str) -> None:
    """Checkpoint the newest version and remove every log entry before it."""
    table = DeltaTable(str(path))
    table.create_checkpoint()
    for entry in (Path(path) / "_delta_log").glob("*.json"):
        if int(entry.stem) < table.version():
            entry.unlink()
