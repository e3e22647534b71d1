"""What a table's own log says: its version, shape, and the newest commit that is ours.

Read without a JVM: a Spark round trip for the same costs ten times as much.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyspark.sql.types import StructType

from crypto_pipeline.errors import LakeError
from crypto_pipeline.lake.opening import open_any, open_delta
from crypto_pipeline.lake.spark_log import SparkTable

if TYPE_CHECKING:
    from deltalake import DeltaTable

# How the write id of a commit begins that put a rebuilt table in place.
REBUILD = "rebuild-"
# Maintenance adds entries without our metadata; look further back in steps before giving up.
HISTORY_STEPS = (5, 50, 500, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRecord:
    """What a stage wrote into the commit, and the table version that it got.

    `outputs` holds, for each table of the batch, its new rows and their first and last fact time
    in epoch seconds, so that the next stage knows its range without a query. `lease_epoch` is the
    lease of the server that committed, 0 for a server without one.
    """

    stage: str
    batch: int
    write_id: str
    ranges: dict[str, Any]
    counts: dict[str, int]
    outputs: dict[str, list[Any]]
    code_version: str
    lease_epoch: int = 0
    version: int = -1
    rows_written: int = -1

    @property
    def is_rebuild(self) -> bool:
        """The newest commit made again, with every row of the table computed anew."""
        return self.write_id.startswith(REBUILD)

    def user_metadata(self) -> str:
        return json.dumps(
            {
                "crypto_pipeline": 1,
                "stage": self.stage,
                "batch": self.batch,
                "write_id": self.write_id,
                "ranges": self.ranges,
                "counts": self.counts,
                "outputs": self.outputs,
                "code_version": self.code_version,
                "lease_epoch": self.lease_epoch,
            },
            separators=(",", ":"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TableState:
    """`id` is Delta's own: a table made anew has another."""

    id: str
    version: int
    properties: dict[str, str]
    columns: tuple[tuple[str, str], ...]


def open_table(path: str) -> TableState | None:
    """The table's newest version, properties and columns; None when there is no table."""
    table = open_any(path)
    if table is None:
        return None
    metadata = table.metadata()
    return TableState(
        id=str(metadata.id),
        version=table.version(),
        properties=dict(metadata.configuration),
        columns=_columns(table),
    )


def _columns(table: DeltaTable | SparkTable) -> tuple[tuple[str, str], ...]:
    if isinstance(table, SparkTable):
        return table.columns()
    schema = StructType.fromJson(json.loads(table.schema().to_json()))
    return tuple((f.name, f.dataType.simpleString()) for f in schema.fields)


def row_count(path: str) -> int:
    """The table's rows as its files say; 0 when there is no table."""
    import pyarrow as pa

    table = open_delta(path)
    if table is None:
        return 0
    files = pa.table(table.get_add_actions(flatten=True))
    return sum(n or 0 for n in files.column("num_records").to_pylist())


def last_commit(path: str) -> CommitRecord | None:
    """The newest history entry that carries our metadata; None for a table we never wrote.

    Raises LakeError when our transactions are there but every entry of ours has been cleaned up.
    """
    table = open_any(path)
    if table is None:
        return None
    for limit in HISTORY_STEPS:
        entries = table.history(limit)
        for entry in entries:
            record = read_entry(entry)
            if record is not None:
                return record
        if limit is None or len(entries) < limit:
            break
    if table.version() > 0 and _transaction(table, path) is not None:
        raise LakeError(
            f"The log of {path} has lost every range that was committed (log retention). Restore "
            "the table's log, or rebuild the layer."
        )
    return None


def last_batch(path: str) -> int:
    """The table's newest batch by its transaction number, 0 for none.

    It is part of the table's state, so neither maintenance nor a clean-up of the log hides it.
    """
    table = open_any(path)
    return 0 if table is None else _transaction(table, path) or 0


def _transaction(table: DeltaTable | SparkTable, path: str) -> int | None:
    """Spark does not tell it; where the log is asked of Spark, the newest of our entries does.

    Where those are gone, Delta still refuses a number that it has seen.
    """
    if isinstance(table, SparkTable):
        return next((r.batch for r in map(read_entry, table.history()) if r is not None), None)
    return table.transaction_version(app_id(path))


def since(path: str, batch: int) -> list[CommitRecord]:
    """Our commits after a batch, newest first, as far as the log still has them."""
    table = open_any(path)
    if table is None:
        return []
    for limit in HISTORY_STEPS:
        entries = table.history(limit)
        found = [r for r in map(read_entry, entries) if r is not None]
        if limit is None or len(entries) < limit or (found and found[-1].batch <= batch):
            break
    return [record for record in found if record.batch > batch]


def commits(path: str) -> list[tuple[datetime, CommitRecord]]:
    """All commits of ours that the log still has, oldest first, each with its time.

    Maintenance commits the newest range again, under the write id that it had: that is no other
    commit.
    """
    table = open_delta(path)
    if table is None:
        return []
    found: dict[str, tuple[datetime, CommitRecord]] = {}
    for entry in reversed(table.history()):
        record = read_entry(entry)
        if record is not None and record.write_id not in found:
            at = datetime.fromtimestamp(entry["timestamp"] / 1000, tz=UTC)
            found[record.write_id] = (at, record)
    return list(found.values())


def app_id(path: str) -> str:
    """The table's constant transaction name: its layer and name.

    >>> app_id("s3://lake/gold/candles_1m"), app_id("market.gold.candles_1m")
    ('gold/candles_1m', 'gold/candles_1m')
    """
    parts = path.rstrip("/").split("/" if "/" in path else ".")
    return "/".join(parts[-2:])


def read_entry(entry: dict[str, Any]) -> CommitRecord | None:
    """Our record in one history entry; None for entries of maintenance and table creation."""
    text = entry.get("userMetadata")
    if not text or '"crypto_pipeline"' not in text:
        return None
    data = json.loads(text)
    return CommitRecord(
        stage=data["stage"],
        batch=data["batch"],
        write_id=data["write_id"],
        ranges=data["ranges"],
        counts=data["counts"],
        outputs=data["outputs"],
        code_version=data["code_version"],
        lease_epoch=data.get("lease_epoch", 0),
        version=int(entry["version"]),
        rows_written=_rows_written(entry.get("operationMetrics") or {}),
    )


def _rows_written(metrics: dict[str, Any]) -> int:
    """Without the rows that replaceWhere copied because they shared a file with the slice."""
    if "numOutputRows" not in metrics:
        return -1
    return int(metrics["numOutputRows"]) - int(metrics.get("numCopiedRows", 0))
