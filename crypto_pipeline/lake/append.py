"""Rows that this process holds, as the next batch of a table: one commit with what it says."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from crypto_pipeline.lake.commit import Write, commit
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.lake.table import Table
from crypto_pipeline.version import VERSION


def append(
    lake: Lake,
    table: Table,
    rows: Sequence[Mapping[Any, Any]],
    *,
    stage: str,
    last: CommitRecord | None,
    ranges: dict[str, Any],
    counts: dict[str, int],
    outputs: dict[str, list[Any]] | None = None,
) -> CommitRecord:
    """Commit rows by column, without `batch`, as the batch after `last`.

    Raises LeaseHeldError when another server has the lake by now, and SupersededError when another
    attempt has the batch.
    """
    lake.refuse_if_overtaken()
    record = CommitRecord(
        stage=stage,
        batch=1 if last is None else last.batch + 1,
        write_id=str(uuid.uuid4()),
        ranges=ranges,
        counts=counts,
        outputs=outputs or {},
        code_version=VERSION,
        lease_epoch=lake.lease_epoch,
    )
    values = [tuple({**row, "batch": record.batch}[name] for name in table.columns) for row in rows]
    frame = lake.spark.createDataFrame(values, table.schema)
    return commit(Write(path=lake.path(table), rows=frame, row_count=len(values)), record)
