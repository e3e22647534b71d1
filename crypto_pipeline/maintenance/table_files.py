"""What a table consists of: live files by partition and objects of its log, read without a JVM."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from pyarrow import fs

from crypto_pipeline import formats
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import ENGINE_PROPERTY
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.lake.opening import open_delta
from crypto_pipeline.lake.table import Table

LOG_FOLDER = "_delta_log"
# The day of a table's last vacuum is kept on the table itself: no state beside the lake.
VACUUMED_PROPERTY = "crypto_pipeline.vacuumed_on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Live files of one partition. `values` are its columns; `newest_batch` is None if unknown."""

    values: tuple[tuple[str, str], ...]
    date: date | None
    files: int
    bytes: int
    rows: int
    newest_batch: int | None

    @property
    def predicate(self) -> str:
        """SQL that selects exactly this partition; empty for a table without partitions."""
        return " AND ".join(f"{name} = '{value}'" for name, value in self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFolder:
    """Objects of a table's log; `oldest_at` is when its oldest commit was written, UTC."""

    objects: int
    commits: int
    checkpoints: int
    bytes: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFiles:
    """One table now. `committed` is our newest entry, `committed_at` when it was written, UTC."""

    table: Table
    version: int
    properties: Mapping[str, str]
    partitions: tuple[Partition, ...]
    log: LogFolder
    committed: CommitRecord | None
    committed_at: datetime | None

    @property
    def files(self) -> int:
        return sum(p.files for p in self.partitions)

    @property
    def bytes(self) -> int:
        return sum(p.bytes for p in self.partitions)

    @property
    def rows(self) -> int:
        return sum(p.rows for p in self.partitions)

    def by_date(self) -> dict[date | None, int]:
        """Live files a date, over all partitions of that date."""
        counts: dict[date | None, int] = defaultdict(int)
        for partition in self.partitions:
            counts[partition.date] += partition.files
        return dict(counts)

    @property
    def engine(self) -> str:
        """Whose Spark writes the table; tables of before the property was there are ours."""
        return self.properties.get(ENGINE_PROPERTY, "spark")

    @property
    def vacuumed_on(self) -> date | None:
        text = self.properties.get(VACUUMED_PROPERTY)
        return None if text is None else date.fromisoformat(text)


def inspect(path: str, table: Table) -> TableFiles | None:
    """Read the log of one table; None where there is no table yet.

    Raises FormatError when the table is of another format.
    """
    opened = open_delta(path)
    if opened is None:
        return None
    properties = dict(opened.metadata().configuration)
    formats.refuse_other(f"The table in {path}", formats.of_table(properties))
    committed = log.last_commit(path)
    return TableFiles(
        table=table,
        version=opened.version(),
        properties=properties,
        partitions=partitions(opened),
        log=log_folder(opened),
        committed=committed,
        committed_at=_time_of(opened, committed),
    )


def committed_at(path: str) -> datetime | None:
    """When our newest commit to a table was written, UTC; None where there is none."""
    opened = open_delta(path)
    if opened is None:
        return None
    return _time_of(opened, log.last_commit(path))


def partitions(opened: DeltaTable) -> tuple[Partition, ...]:
    """Live files by partition, oldest date first."""
    columns = opened.metadata().partition_columns
    groups: dict[tuple[tuple[str, str], ...], list[dict[str, Any]]] = defaultdict(list)
    for file in pa.table(opened.get_add_actions(flatten=True)).to_pylist():
        key = tuple((name, str(file[f"partition.{name}"])) for name in columns)
        groups[key].append(file)
    return tuple(_partition(key, groups[key]) for key in sorted(groups))


def log_folder(opened: DeltaTable) -> LogFolder:
    """List the log as the store has it; names that start with a dot are a local file system's."""
    handler = DeltaStorageHandler.from_table(opened._table)
    found = fs.PyFileSystem(handler).get_file_info(fs.FileSelector(LOG_FOLDER, recursive=True))
    files = [info for info in found if info.type == fs.FileType.File]
    commits = [info for info in files if _is_entry(info)]
    times = [info.mtime for info in commits if info.mtime is not None]
    return LogFolder(
        objects=len(files),
        commits=len(commits),
        checkpoints=sum(".checkpoint" in i.base_name and i.extension == "parquet" for i in files),
        bytes=sum(info.size for info in files),
        oldest_at=min(times).astimezone(UTC) if times else None,
    )


def inspect_all(root: str, tables: Sequence[Table]) -> Iterator[TableFiles]:
    """Every table that is there, in the order given."""
    for table in tables:
        found = inspect(f"{root.rstrip('/')}/{table.key}", table)
        if found is not None:
            yield found


def _partition(key: tuple[tuple[str, str], ...], files: Sequence[Mapping[str, Any]]) -> Partition:
    day = dict(key).get("date")
    batches = [file.get("max.batch") for file in files]
    known = [int(batch) for batch in batches if batch is not None]
    return Partition(
        values=key,
        date=None if day is None else date.fromisoformat(day),
        files=len(files),
        bytes=sum(int(file["size_bytes"]) for file in files),
        rows=sum(int(file["num_records"] or 0) for file in files),
        newest_batch=max(known) if len(known) == len(batches) else None,
    )


def _is_entry(info: fs.FileInfo) -> bool:
    return bool(re.fullmatch(r"\d+\.json", info.base_name))


def _time_of(opened: DeltaTable, committed: CommitRecord | None) -> datetime | None:
    if committed is None:
        return None
    entry = opened.history(opened.version() - committed.version + 1)[-1]
    return datetime.fromtimestamp(entry["timestamp"] / 1000, tz=UTC)
