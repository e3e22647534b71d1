"""One piece of maintenance through the lake's own Spark session; each is one transaction or none.

Through the same server as the stages and in the same pool: there is one writer a lake.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from threading import Event, Thread
from typing import TYPE_CHECKING

from pyspark.errors import PySparkException

from crypto_pipeline.errors import LakeError
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.removed import REMOVED_PROPERTY, removed_before
from crypto_pipeline.lake.tuning import tune
from crypto_pipeline.maintenance.table_files import VACUUMED_PROPERTY, TableFiles, inspect
from crypto_pipeline.maintenance.work import Work

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MEGABYTE = 1024 * 1024
# A file of today that has reached this size is left alone until the day is over: else a day of a
# whole venue would be copied again every half hour.
SETTLED_BYTES = 64 * MEGABYTE
# A large partition is compacted in commits of this size, so that a bite that is cut keeps some.
BATCH_BYTES = 128 * MEGABYTE
TAG = "maintenance"
LISTING_TASKS = "8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a piece of work did; `is_cut` when its time was over, and it is due again."""

    work: Work
    seconds: float
    files_before: int
    files_after: int
    is_cut: bool = False

    def facts(self) -> dict[str, object]:
        return {
            "work": self.work.name,
            "seconds": round(self.seconds, 3),
            "files_before": self.files_before,
            "files_after": self.files_after,
            "cut": self.is_cut,
        }


def perform(lake: Lake, work: Work, *, now: datetime, seconds: float) -> Done:
    """Do it within the time given, or leave it undone; raises LakeError if rows were lost."""
    started = time.perf_counter()
    is_cut = False
    lake.refuse_if_overtaken()
    tune(lake.spark, rows=work.rows)
    with _settings_of(lake.spark, work):
        try:
            with _stopped_after(lake.spark, seconds):
                _run(lake, work, now=now)
        except PySparkException as error:
            if "OPERATION_CANCELED" not in str(error):
                raise
            is_cut = True
    after = inspect(lake.path(work.files.table), work.files.table)
    if after is None:
        raise LakeError(f"Table {work.files.table.key} is gone after {work.name}.")
    if work.kind in ("compact", "recommit"):
        check_rows(work.files, after)
    return Done(
        work=work,
        seconds=time.perf_counter() - started,
        files_before=work.files.files,
        files_after=after.files,
        is_cut=is_cut,
    )


def check_rows(before: TableFiles, after: TableFiles) -> None:
    """Compaction moves rows between files: by partition, their number stays. Raises LakeError."""
    had = {p.values: p.rows for p in before.partitions}
    has = {p.values: p.rows for p in after.partitions}
    if had != has:
        changed = sorted(str(k) for k in {*had, *has} if had.get(k) != has.get(k))
        raise LakeError(
            f"Maintenance changed the number of rows of {before.table.key} in {changed[:3]}. "
            f"Restore version {before.version} (RESTORE TABLE) and keep the log."
        )


def _run(lake: Lake, work: Work, *, now: datetime) -> None:
    target = f"delta.`{lake.path(work.files.table)}`"
    where = f" WHERE {work.predicate}" if work.predicate else ""
    if work.kind == "compact":
        lake.spark.sql(f"OPTIMIZE {target}{where}").collect()
    elif work.kind == "retain":
        # First: cut short between the two, the table says too much and never too little.
        _note_removed(lake, work)
        lake.spark.sql(f"DELETE FROM {target}{where}").collect()
    elif work.kind == "vacuum":
        lake.spark.sql(f"VACUUM {target}").collect()
        _note(lake, target, VACUUMED_PROPERTY, now.date())
    else:
        recommit(lake, work.files)


def _note_removed(lake: Lake, work: Work) -> None:
    """Rows that came for an older date and go again do not make the table whole from there."""
    noted = removed_before(work.files.properties)
    if noted is None or work.removed_before > noted:
        target = f"delta.`{lake.path(work.files.table)}`"
        _note(lake, target, REMOVED_PROPERTY, work.removed_before)


def _note(lake: Lake, target: str, name: str, day: date) -> None:
    lake.spark.sql(f"ALTER TABLE {target} SET TBLPROPERTIES ('{name}' = '{day}')").collect()


def recommit(lake: Lake, files: TableFiles) -> None:
    """Write our newest entry once more, without rows and under a transaction name of its own.

    The stage's own number is used up: with it Delta would skip the write and report success.
    Without any Delta would not record a commit without rows. So again of the same entry, after
    a kill, is skipped, which is right.
    """
    record = files.committed
    if record is None:
        raise LakeError(f"Table {files.table.key} has no commit of ours to write again.")
    path = lake.path(files.table)
    # Who writes it is who holds the lease now: an epoch that went back would fail the audit.
    own = {"again": record.version, "lease_epoch": lake.lease_epoch}
    metadata = json.loads(record.user_metadata()) | own
    empty = lake.spark.createDataFrame([], files.table.schema)
    empty.write.format("delta").mode("append").options(
        txnAppId=f"{log.app_id(path)}/ranges",
        txnVersion=str(record.version),
        userMetadata=json.dumps(metadata, separators=(",", ":")),
    ).save(path)


def _options(work: Work) -> Mapping[str, str]:
    prefix = "spark.databricks.delta"
    if work.kind == "compact":
        size = {} if work.is_past else {f"{prefix}.optimize.minFileSize": str(SETTLED_BYTES)}
        return {f"{prefix}.optimize.batchSize": str(BATCH_BYTES), **size}
    if work.kind == "vacuum":
        # Else the files are listed in 10,000 tasks, however few they are.
        listing = {"spark.sql.sources.parallelPartitionDiscovery.parallelism": LISTING_TASKS}
        return {f"{prefix}.vacuum.parallelDelete.enabled": "true", **listing}
    return {}


@contextmanager
def _settings_of(spark: SparkSession, work: Work) -> Iterator[None]:
    """The session is the stages' too: what is set for one piece of work is taken back."""
    options = _options(work)
    for name, value in options.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name in options:
            spark.conf.unset(name)


@contextmanager
def _stopped_after(spark: SparkSession, seconds: float) -> Iterator[None]:
    """Interrupt what runs under our tag when the time is over; a transaction is all or nothing.

    Again and again: an interruption that comes before the server knows the operation is lost,
    and a small one is over within half a second.
    """
    finished = Event()

    def interrupt() -> None:
        wait = max(seconds, 0.0)
        while not finished.wait(wait):
            spark.interruptTag(TAG)
            wait = 0.05

    watch = Thread(target=interrupt, daemon=True)
    spark.addTag(TAG)
    watch.start()
    try:
        yield
    finally:
        finished.set()
        watch.join()
        spark.removeTag(TAG)
