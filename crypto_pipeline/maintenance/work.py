"""What a lake needs done now: a pure function of its tables' files, its limits and the time.

Nothing is remembered between two looks. Work that was cut short is still due at the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

from crypto_pipeline.maintenance.table_files import Partition, TableFiles
from crypto_pipeline.stages import STAGES

Kind = Literal["recommit", "compact", "retain", "vacuum"]

# Live files of a date that gets rows: half of what is allowed, so that a late start is no breach.
CURRENT_FILES_DUE = 30
CURRENT_FILES = 60
PAST_FILES = 4
# Ranges are committed anew long before the log forgets them (a day, against 2).
RECOMMIT_AFTER = timedelta(days=1)
# Delta removes whole days of its log, and only when it writes a checkpoint.
LOG_SLACK_DAYS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is kept: days a layer (0 is for ever), live files a date.

    Of a layer that is not vacuumed no file is deleted but of its log.
    """

    days: Mapping[str, int] = field(default_factory=dict)
    not_vacuumed: frozenset[str] = frozenset()
    current_files_due: int = CURRENT_FILES_DUE
    past_files: int = PAST_FILES


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One thing to do to one table; `predicate` names the partition, or the `dates` to remove."""

    kind: Kind
    files: TableFiles
    predicate: str = ""
    dates: tuple[date, ...] = ()
    is_past: bool = False
    live_files: int = 0
    rows: int = 0

    @property
    def name(self) -> str:
        where = f" where {self.predicate}" if self.predicate else ""
        return f"{self.kind} {self.files.table.key}{where}"

    @property
    def removed_before(self) -> date:
        """Of a removal: the day after the newest date that it names."""
        return max(self.dates) + timedelta(days=1)


def due(tables: Sequence[TableFiles], *, now: datetime, limits: Limits) -> tuple[Work, ...]:
    """All that is due, the most urgent first: a lost range is worse than many files."""
    read = batches_read(tables)
    # One engine writes a table, and that goes for its upkeep too.
    ours = [files for files in tables if files.engine == "spark"]
    return (
        *(w for files in ours for w in recommits(files, now=now)),
        *(w for files in ours for w in compactions(files, today=now.date(), limits=limits)),
        *(w for f in ours for w in removals(f, today=now.date(), limits=limits, read=read)),
        *(w for files in ours for w in vacuums(files, today=now.date(), limits=limits)),
    )


def recommits(files: TableFiles, *, now: datetime) -> Iterator[Work]:
    if files.committed_at is not None and now - files.committed_at >= RECOMMIT_AFTER:
        yield Work(kind="recommit", files=files)


def compactions(files: TableFiles, *, today: date, limits: Limits) -> Iterator[Work]:
    """Past dates with too many files, oldest first, then what is written to now."""
    counts = files.by_date()
    for partition in sorted(files.partitions, key=lambda p: (not _is_past(p, today), p.values)):
        is_past = _is_past(partition, today)
        limit = limits.past_files if is_past else limits.current_files_due - 1
        if counts[partition.date] > limit and partition.files > 1:
            yield Work(
                kind="compact",
                files=files,
                predicate=partition.predicate,
                is_past=is_past,
                live_files=partition.files,
                rows=partition.rows,
            )


def removals(
    files: TableFiles, *, today: date, limits: Limits, read: Mapping[str, int]
) -> Iterator[Work]:
    """Whole dates past the layer's days, once every stage that reads the table has read them."""
    days = limits.days.get(files.table.layer, 0)
    if days == 0 or "date" not in files.table.partition_by:
        return
    first_kept = today - timedelta(days=days)
    dates: dict[date, list[Partition]] = {}
    for partition in files.partitions:
        if partition.date is not None and partition.date < first_kept:
            dates.setdefault(partition.date, []).append(partition)
    old = [day for day in sorted(dates) if all(_is_read(files, p, read) for p in dates[day])]
    if old:
        count = sum(p.files for day in old for p in dates[day])
        yield removal(files, old, live_files=count)


def removal(files: TableFiles, dates: Sequence[date], *, live_files: int = 0) -> Work:
    listed = ", ".join(f"'{day}'" for day in dates)
    return Work(
        kind="retain",
        files=files,
        predicate=f"date IN ({listed})",
        dates=tuple(dates),
        live_files=live_files,
    )


def vacuums(files: TableFiles, *, today: date, limits: Limits) -> Iterator[Work]:
    """Once a day, and of a table made today not at all: it has nothing dead that is old enough."""
    if files.table.layer in limits.not_vacuumed:
        return
    oldest = files.log.oldest_at
    last = files.vacuumed_on or (None if oldest is None else oldest.date())
    if last is not None and last < today:
        yield Work(kind="vacuum", files=files)


def batches_read(tables: Sequence[TableFiles]) -> dict[str, int]:
    """The last batch that every reading stage has read, by table key; absent if nothing reads it.

    A stage that has never run has read nothing, so nothing of its input may go.
    """
    committed = {files.table.key: files.committed for files in tables}
    read: dict[str, int] = {}
    for stage in STAGES:
        last = committed.get(stage.primary.key)
        to = 0 if last is None else int(last.ranges.get("batches", {}).get("to", 0))
        for table in stage.reads:
            read[table.key] = min(to, read.get(table.key, to))
    return read


def _is_read(files: TableFiles, partition: Partition, read: Mapping[str, int]) -> bool:
    to = read.get(files.table.key)
    if to is None:
        return True
    return partition.newest_batch is not None and partition.newest_batch <= to


def _is_past(partition: Partition, today: date) -> bool:
    return partition.date is not None and partition.date < today
