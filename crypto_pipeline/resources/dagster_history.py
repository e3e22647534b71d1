"""Dagster's own runs and events, pruned: open-source Dagster keeps them for ever.

What stays, however old: runs that are not finished, and whatever run last materialised, observed
or checked an asset (of a partitioned asset, each of its partitions). Works on the tables of
Dagster's SQL storages, SQLite or another; ticks it prunes itself, by `retention` in dagster.yaml.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    PendingStepsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.runs.schema import RunsTable, RunTagsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage

from crypto_pipeline.errors import MachineError

# Runs of one transaction: the daemon and the runs write to the same file and wait for it.
BATCH = 100
FINISHED = ("SUCCESS", "FAILURE", "CANCELED")
ABOUT_ASSETS = ("ASSET_MATERIALIZATION", "ASSET_OBSERVATION")
# SQLite gives pages back to itself, not to the disk, until it is told to.
COMPACT_ABOVE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What one pruning removed; `is_finished` is False when its time was over before the end."""

    runs: int
    checks: int
    events: int
    seconds: float
    is_finished: bool


@dataclass(frozen=True)
class History:
    """The storages of one instance as tables; raises MachineError when they are none."""

    instance: dg.DagsterInstance

    def prune(self, *, before: datetime, seconds: float = 20.0) -> Pruned:
        """Remove finished runs that ended before then (UTC), with all that is theirs."""
        started = time.perf_counter()
        kept = self._kept_runs()
        runs = 0
        is_finished = True
        for batch in self._old_runs(before, kept):
            if time.perf_counter() - started > seconds:
                is_finished = False
                break
            self._remove(batch)
            runs += len(batch)
        checks, events = self._remove_loose(before) if is_finished else (0, 0)
        self._give_back()
        return Pruned(
            runs=runs,
            checks=checks,
            events=events,
            seconds=time.perf_counter() - started,
            is_finished=is_finished,
        )

    def _kept_runs(self) -> frozenset[str]:
        """Runs of the newest event about each asset and partition, and of each check."""
        events, checks = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c
        newest = (
            sa.select(sa.func.max(events.id))
            .where(events.dagster_event_type.in_(ABOUT_ASSETS), events.asset_key.is_not(None))
            .group_by(events.asset_key, events.partition, events.dagster_event_type)
        )
        checked = sa.select(sa.func.max(checks.id)).group_by(checks.asset_key, checks.check_name)
        with self._events.index_connection() as connection:
            found = connection.execute(
                sa.select(events.run_id)
                .where(events.id.in_(newest))
                .union(sa.select(checks.run_id).where(checks.id.in_(checked)))
            )
            return frozenset(row[0] for row in found if row[0])

    def _old_runs(self, before: datetime, kept: frozenset[str]) -> Iterator[list[str]]:
        """Batches of run ids, oldest first; read anew after each, as the last one is gone."""
        runs = RunsTable.c
        # Dagster's own update time is naive UTC; the end is known of finished runs only.
        old = (
            sa.select(runs.run_id)
            .where(
                runs.status.in_(FINISHED),
                runs.update_timestamp < before.replace(tzinfo=None),
                runs.run_id.not_in(sorted(kept)),
            )
            .order_by(runs.id)
            .limit(BATCH)
        )
        while True:
            with self._runs.connect() as connection:
                batch = [row[0] for row in connection.execute(old)]
            if not batch:
                return
            yield batch

    def _remove(self, runs: Sequence[str]) -> None:
        """Events first: a run without events can still be found and removed, not the reverse."""
        events = SqlEventLogStorageTable.c
        ids = sa.select(events.id).where(events.run_id.in_(runs))
        with self._events.index_connection() as connection:
            tags = AssetEventTagsTable
            connection.execute(tags.delete().where(tags.c.event_id.in_(ids)))
            for table in (AssetCheckExecutionsTable, PendingStepsTable, SqlEventLogStorageTable):
                connection.execute(table.delete().where(table.c.run_id.in_(runs)))
        for run in runs:
            self._remove_shard(run)
        with self._runs.connect() as connection:
            for table in (RunTagsTable, RunsTable):
                connection.execute(table.delete().where(table.c.run_id.in_(runs)))

    def _remove_shard(self, run: str) -> None:
        """SQLite keeps a file of events a run."""
        if isinstance(self._events, SqliteEventLogStorage):
            shard = Path(self._events.path_for_shard(run))
            for suffix in ("-wal", "-shm", ""):
                shard.with_name(shard.name + suffix).unlink(missing_ok=True)

    def _remove_loose(self, before: datetime) -> tuple[int, int]:
        """Old results of checks that newer ones replaced, and old events that no run has."""
        checks, events = AssetCheckExecutionsTable, SqlEventLogStorageTable
        newest = sa.select(sa.func.max(checks.c.id)).group_by(
            checks.c.asset_key, checks.c.check_name
        )
        last = sa.select(sa.func.max(events.c.id)).group_by(
            events.c.asset_key, events.c.partition, events.c.dagster_event_type
        )
        moment = before.replace(tzinfo=None)
        with self._runs.connect() as connection:
            known = {row[0] for row in connection.execute(sa.select(RunsTable.c.run_id))}
        with self._events.index_connection() as connection:
            gone = connection.execute(
                checks.delete().where(
                    checks.c.create_timestamp < moment, checks.c.id.not_in(newest)
                )
            ).rowcount
            ids = sa.select(events.c.id, events.c.run_id).where(
                events.c.timestamp < moment, events.c.id.not_in(last)
            )
            orphans = [row[0] for row in connection.execute(ids) if row[1] not in known]
            for start in range(0, len(orphans), BATCH):
                part = orphans[start : start + BATCH]
                connection.execute(events.delete().where(events.c.id.in_(part)))
        return gone, len(orphans)

    def _give_back(self) -> None:
        """Compact SQLite's files when much of one is empty."""
        for connect in (self._runs.connect, self._events.index_connection):
            with connect() as connection:
                if connection.dialect.name != "sqlite":
                    continue
                size = _pragma(connection, "page_size")
                empty = _pragma(connection, "freelist_count") * size
                whole = _pragma(connection, "page_count") * size
            if empty > COMPACT_ABOVE_BYTES and empty > whole / 2:
                with _outside_transaction(connect) as connection:
                    connection.exec_driver_sql("VACUUM")

    @property
    def _runs(self) -> SqlRunStorage:
        storage = self.instance.run_storage
        if not isinstance(storage, SqlRunStorage):
            raise _not_sql(storage)
        return storage

    @property
    def _events(self) -> SqlEventLogStorage:
        storage = self.instance.event_log_storage
        if not isinstance(storage, SqlEventLogStorage):
            raise _not_sql(storage)
        return storage


@contextmanager
def _outside_transaction(connect: Any) -> Iterator[Any]:
    with connect() as connection:
        connection.commit()
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


def _pragma(connection: Any, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar())


def _not_sql(storage: object) -> MachineError:
    return MachineError(
        f"Dagster's history is kept in {type(storage).__name__}, whose tables cannot be pruned. "
        "Use SQLite or a SQL server, or set its own retention."
    )
