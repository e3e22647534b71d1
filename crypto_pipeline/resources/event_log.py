"""Dagster's history in SQLite, with statements compiled once instead of for every event.

Dagster makes an engine for each statement, and an engine of SQLAlchemy compiles what it has not
compiled before. A cycle writes 125 events in 300 statements while the minute waits. Files, tables
and connections (a new one each time, so that a fork inherits none) are Dagster's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Self

from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage, SqliteStorageConfig
from dagster._serdes import ConfigurableClassData
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

# One for the index and one for each run that is going or looked at; a process sees thousands.
ENGINES = 16


class KeptEngines(SqliteEventLogStorage):
    """Dagster's event log, whose engines are kept."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engine = lru_cache(maxsize=ENGINES)(self._made)
        super().__init__(base_dir, inst_data)

    def _made(self, shard: str) -> Engine:
        return create_engine(
            self.conn_string_for_shard(shard),
            poolclass=NullPool,
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
        )

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection


class History(DagsterSqliteStorage):
    """Dagster's runs, events and ticks under a folder, as its own default has them."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = KeptEngines(str(Path(base_dir, "history", "runs")))

    @classmethod
    def from_config_value(  # type: ignore[override]  # as in the class it replaces
        cls, inst_data: ConfigurableClassData, config_value: SqliteStorageConfig
    ) -> Self:
        return cls.from_local(inst_data=inst_data, **config_value)
