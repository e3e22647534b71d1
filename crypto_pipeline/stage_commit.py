"""A counted result → the commits of its tables: the claim, the other sides, the primary.

Every attempt at a batch commits the same table first, with rows or without: the claim. Delta
takes one commit a table and batch, so the claim alone decides which range a batch has, and an
attempt that lost it has written nothing yet, nor will write anything with another range.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

from crypto_pipeline.books import Counts
from crypto_pipeline.errors import BooksError
from crypto_pipeline.lake.commit import Write, commit
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.lake.table import Table
from crypto_pipeline.plan import Plan
from crypto_pipeline.stage import Stage, StageResult
from crypto_pipeline.version import VERSION


def commit_result(
    lake: Lake, stage: Stage, plan: Plan, result: StageResult, counts: Counts
) -> dict[str, CommitRecord]:
    """The claim first and always, the other sides together and only with rows, then the primary.

    Raises SupersededError when another attempt has the batch.
    """
    claim = stage.outputs[0]
    sides = [
        table
        for table in stage.sides
        if table != claim and table.key not in plan.done and counts.outputs[table.key] > 0
    ]

    def one(table: Table) -> CommitRecord:
        return _commit_table(lake, table, stage, plan, result, counts)

    commits = {}
    if claim != stage.primary and claim.key not in plan.done:
        commits[claim.key] = one(claim)
    if sides:
        with ThreadPoolExecutor(max_workers=len(sides)) as pool:
            commits |= {t.key: c for t, c in zip(sides, pool.map(one, sides), strict=True)}
    commits[stage.primary.key] = one(stage.primary)
    return commits


def _commit_table(
    lake: Lake, table: Table, stage: Stage, plan: Plan, result: StageResult, counts: Counts
) -> CommitRecord:
    record = CommitRecord(
        stage=stage.name,
        batch=plan.batch,
        write_id=str(uuid.uuid4()),
        ranges=plan.ranges,
        counts={"in": sum(counts.outcomes.values()), **counts.outcomes},
        outputs={k: [n, *counts.spans[k]] for k, n in counts.outputs.items()},
        code_version=VERSION,
        lease_epoch=lake.lease_epoch,
    )
    write = _write(lake, table, result, counts)
    lake.refuse_if_overtaken()
    written = commit(write, record)
    if written.rows_written not in (-1, write.row_count):
        raise BooksError(
            f"Table {table.key} took {written.rows_written} rows of batch {plan.batch}, "
            f"{write.row_count} were counted. Run `make once` again and keep the log."
        )
    return written


def _write(lake: Lake, table: Table, result: StageResult, counts: Counts) -> Write:
    rows = result.outputs[table.key]
    path = lake.path(table)
    expected = counts.outputs[table.key]
    if table.write_mode == "overwrite":
        return Write(path=path, rows=rows, row_count=expected, overwrite=True)
    touched = result.slices.get(table.key)
    if touched is None or counts.replacing[table.key] == 0:
        return Write(path=path, rows=rows, row_count=expected)
    whole = rows.unionByName(touched.kept)
    return Write(
        path=path,
        rows=whole,
        row_count=whole.count(),
        replace_where=touched.predicate,
    )
