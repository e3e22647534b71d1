"""Dagster's history in SQLite, whose statements are compiled once and whose files stay open.

Dagster makes an engine and a connection for each statement: each is compiled anew, and a file whose
last connection is closed has its log folded in and synced. A cycle writes 125 events in 300
statements while the minute waits: they took 1.2 s so, and take 0.5 s from kept connections. Tables
and files are Dagster's own, but for the size of a page in those of a run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Self

from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage, SqliteStorageConfig
from dagster._serdes import ConfigurableClassData
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

# The index and the runs that are going. A file that a process keeps open has a log of up to a
# megabyte beside it, and a daemon sees thousands of runs.
ENGINES = 4
# A run's file has 25 tables and indexes, most of them empty, and each takes a page. With SQLite's
# own 4,096 the two files of a minute take 585 KB, with these 378.
PAGE_BYTES = 1_024


class Engines:
    """One for each file of SQLite, the last few of them, with the connections they have opened.

    They are of one process: a connection of SQLite does not outlive a fork.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str], Engine] = {}
        self._lock = Lock()

    def of(self, url: str) -> Engine:
        key = (os.getpid(), url)
        with self._lock:
            engine = self._kept.pop(key, None) or _made(url)
            self._kept[key] = engine
            while len(self._kept) > ENGINES:
                self._kept.pop(next(iter(self._kept))).dispose()
        return engine

    def close(self) -> None:
        with self._lock:
            while self._kept:
                self._kept.popitem()[1].dispose()


def _made(url: str) -> Engine:
    engine = create_engine(
        url, poolclass=QueuePool, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
    )
    event.listen(engine, "connect", _set_up)
    return engine


def _set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Small pages in a file that has nothing in it yet, and no wait for the disk at each event.

    With a log (WAL) a file stays whole without; a power cut may cost the last seconds of history,
    of which neither the topics nor the lake know anything. https://sqlite.org/pragma.html
    """
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


class Kept:
    """A storage of Dagster whose connections are kept, until it is disposed of."""

    @cached_property
    def engines(self) -> Engines:
        return Engines()

    def dispose(self) -> None:
        self.engines.close()


class KeptEvents(Kept, SqliteEventLogStorage):
    """Dagster's event log: an index, and a file for each run."""

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self.engines.of(self.conn_string_for_shard(shard))
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def dispose(self) -> None:
        SqliteEventLogStorage.dispose(self)
        super().dispose()


class KeptFile(Kept):
    """A storage of one file."""

    _conn_string: str

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self.engines.of(self._conn_string).begin() as connection:
            yield connection


class KeptRuns(KeptFile, SqliteRunStorage):
    """Dagster's runs and the heartbeats of its daemon."""


class KeptTicks(KeptFile, SqliteScheduleStorage):
    """Dagster's schedules, sensors and their ticks."""


class History(DagsterSqliteStorage):
    """Dagster's runs, events and ticks under a folder, as its own default has them."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self.base_dir = base_dir
        self._inst_data = inst_data
        history = Path(base_dir, "history")
        self._event_log_storage = KeptEvents(str(history / "runs"))
        self._run_storage = KeptRuns.from_local(str(history))
        self._schedule_storage = KeptTicks.from_local(str(Path(base_dir, "schedules")))
        # Not the default's own: it would open each file before ours does, at each run's launch.
        super(DagsterSqliteStorage, self).__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def from_config_value(  # type: ignore[override]  # as in the class it replaces
        cls, inst_data: ConfigurableClassData, config_value: SqliteStorageConfig
    ) -> Self:
        return cls.from_local(inst_data=inst_data, **config_value)
