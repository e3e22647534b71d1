"""One commit: rows and their range in one transaction, read back to know whose it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from crypto_pipeline.errors import LakeError
from crypto_pipeline.lake import log
from crypto_pipeline.lake.log import CommitRecord

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# A commit of fewer rows goes into one file a partition: a minute must not leave two.
ONE_FILE_ROWS = 200_000

# What Delta says of a transaction that lost against another; planning again is right for all.
CONCURRENT = ("DELTA_CONCURRENT_", "ConcurrentTransactionException", "ConcurrentAppendException")


class SupersededError(LakeError):
    """Another attempt committed this batch first; its entry is the truth, plan again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """What to write and how; `replace_where` names the slice that the rows replace."""

    path: str
    rows: DataFrame
    row_count: int
    overwrite: bool = False
    replace_where: str | None = None


def commit(write: Write, record: CommitRecord) -> CommitRecord:
    """Write rows and record in one transaction and return the record as the log has it.

    Delta skips a (txnAppId, txnVersion) that it has seen and reports success, so the log is
    read back. So it is after a conflict: a store may have carried out a request whose answer was
    lost, and the second one then meets our own entry. Raises SupersededError when the entry of
    this batch carries another write id.
    """
    rows = write.rows.coalesce(1) if write.row_count < ONE_FILE_ROWS else write.rows
    options = {
        "txnAppId": log.app_id(write.path),
        "txnVersion": str(record.batch),
        "userMetadata": record.user_metadata(),
    }
    conflict = None
    try:
        if "/" in write.path:
            _save(rows, write, options)
        else:
            _save_by_name(rows, write, options)
    # Of a session without Connect, Delta's own exceptions come as Java's.
    except (PySparkException, Py4JJavaError) as error:
        if not any(word in str(error) for word in CONCURRENT):
            raise
        conflict = error
    found = log.last_commit(write.path)
    if found is None or found.write_id != record.write_id:
        raise SupersededError(
            f"Batch {record.batch} of {write.path} was committed by another run."
        ) from conflict
    return found


def _save(rows: DataFrame, write: Write, options: dict[str, str]) -> None:
    mode = "overwrite" if write.overwrite or write.replace_where else "append"
    writer = rows.write.format("delta").mode(mode).options(**options)
    if write.replace_where:
        writer = writer.option("replaceWhere", write.replace_where)
    writer.save(write.path)


def _save_by_name(rows: DataFrame, write: Write, options: dict[str, str]) -> None:
    """Into a table of a catalog; what `overwrite` names is replaced, as `replaceWhere` does."""
    writer = rows.writeTo(write.path).options(**options)
    if write.replace_where:
        writer.overwrite(F.expr(write.replace_where))
    elif write.overwrite:
        writer.overwrite(F.lit(True))
    else:
        writer.append()
