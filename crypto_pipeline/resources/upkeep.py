"""Upkeep of the lake and of Dagster's own history as Dagster sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import PrivateAttr

from crypto_pipeline import settings as settings_module
from crypto_pipeline.errors import LakeError
from crypto_pipeline.lake.session import disconnect
from crypto_pipeline.lake.writer_lock import NAME, WriterLock
from crypto_pipeline.lake.writer_lock import take as take_lock
from crypto_pipeline.maintenance.lake_upkeep import Counted, Upkeep, count, open_upkeep
from crypto_pipeline.maintenance.work import CURRENT_FILES, PAST_FILES, Kind
from crypto_pipeline.pipeline import open_lake
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import TABLES

COUNTED = dg.AssetKey(["maintenance", "table_files"])
FILE_CHECKS = {
    "past_dates_are_compact": f"No past date has more than {PAST_FILES} live files in a table",
    "now_is_compact": f"No table has more than {CURRENT_FILES} live files of today",
    "logs_are_bounded": "No log reaches further back than its retention and two days",
}


class UpkeepResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens the lake on first use; all parts of a run share one bite of time.

    While another process writes the lake, or a person's command, the run leaves all for the next.
    """

    _open: Upkeep | None = PrivateAttr(default=None)
    # No function as the default: pydantic takes it for a descriptor, and calls it with itself.
    _instance: dg.DagsterInstance | None = PrivateAttr(default=None)
    _lock: WriterLock | None = PrivateAttr(default=None)
    _writer: str | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        self._instance = context.instance

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        if self._open is not None:
            disconnect(self._open.lake.spark)
            self._open = None
        if self._lock is not None:
            self._lock.release()
        self._lock = self._writer = None

    @property
    def _upkeep(self) -> Upkeep | None:
        """None for the whole run when another process had the lake at its beginning."""
        if self._open is None and self._writer is None:
            settings = settings_module.load()
            # Opening the writer's session stops what runs in it.
            if self._takes_lock(settings):
                self._open = open_upkeep(settings, open_lake(settings), is_wanted=self._is_wanted)
        return self._open

    def _takes_lock(self, settings: Settings) -> bool:
        if self._lock is None:
            try:
                self._lock = take_lock(settings.home / NAME, wait_seconds=0)
            except LakeError as error:
                self._writer = f"All is left for the next run: {error}"
        return self._lock is not None

    def _is_wanted(self) -> bool:
        return self._instance is not None and is_cycle_waiting(self._instance)

    def take(self, kind: Kind) -> dg.MaterializeResult[None]:
        upkeep = self._upkeep
        if upkeep is None:
            skipped = dg.MetadataValue.text(f"{self._writer}")
            return dg.MaterializeResult(metadata={"skipped": skipped})
        done, left = upkeep.take(kind)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": dg.MetadataValue.int(len(done)),
                "left": dg.MetadataValue.int(left),
                "done": dg.MetadataValue.json([one.facts() for one in done]),
            }
        )

    def count(self) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        upkeep = self._upkeep
        tables = _counted() if upkeep is None else upkeep.count()
        yield dg.MaterializeResult(
            metadata={
                "live_files": dg.MetadataValue.int(sum(t.files for t in tables)),
                "live_bytes": dg.MetadataValue.int(sum(t.bytes for t in tables)),
                "log_objects": dg.MetadataValue.int(sum(t.log_objects for t in tables)),
                "tables": dg.MetadataValue.json([_row(table) for table in tables]),
            },
        )
        yield from _checks(tables)


def _counted() -> list[Counted]:
    return count(settings_module.load().lake_root, TABLES, now=datetime.now(UTC))


def is_cycle_waiting(instance: dg.DagsterInstance) -> bool:
    """Whether a cycle is queued for the lake; it waits for the pool that a bite holds."""
    queued = dg.RunsFilter(job_name="lake_cycle", statuses=[dg.DagsterRunStatus.QUEUED])
    return bool(instance.get_runs(filters=queued, limit=1))


def _checks(tables: Sequence[Counted]) -> Iterator[dg.AssetCheckResult]:
    passed: dict[str, Callable[[Counted], bool]] = {
        "past_dates_are_compact": lambda t: t.past_is_compact,
        "now_is_compact": lambda t: t.now_is_compact,
        "logs_are_bounded": lambda t: t.log_is_bounded,
    }
    for name, holds in passed.items():
        failing = [_row(table) for table in tables if not holds(table)]
        yield dg.AssetCheckResult(
            asset_key=COUNTED,
            check_name=name,
            passed=not failing,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"failing": dg.MetadataValue.json(failing)},
        )


def _row(table: Counted) -> dict[str, Any]:
    return {
        "table": table.key,
        "files": table.files,
        "bytes": table.bytes,
        "most_of_a_past_date": table.most_of_a_past_date,
        "most_of_now": table.most_of_now,
        "log_objects": table.log_objects,
        "log_days": round(table.log_days, 1),
    }
