"""The lake's upkeep as one object: look, say what is due, do a bite of it, count files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.table import Table, days_of
from crypto_pipeline.maintenance.bite import Bite
from crypto_pipeline.maintenance.perform import Done, perform
from crypto_pipeline.maintenance.table_files import TableFiles, inspect_all
from crypto_pipeline.maintenance.work import (
    CURRENT_FILES,
    LOG_SLACK_DAYS,
    PAST_FILES,
    Kind,
    Limits,
    Work,
    due,
)
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import TABLES

LOG_DAYS = days_of("logRetentionDuration")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Files of one table: live, the most of any past date, those of now, and log objects."""

    key: str
    files: int
    bytes: int
    most_of_a_past_date: int
    most_of_now: int
    log_objects: int
    log_days: float

    @property
    def past_is_compact(self) -> bool:
        return self.most_of_a_past_date <= PAST_FILES

    @property
    def now_is_compact(self) -> bool:
        return self.most_of_now <= CURRENT_FILES

    @property
    def log_is_bounded(self) -> bool:
        return self.log_days <= LOG_DAYS + LOG_SLACK_DAYS


@dataclass
class Upkeep:
    """One run's upkeep of one lake; the time of all its parts together is one bite."""

    lake: Lake
    limits: Limits
    bite: Bite
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    tables: Sequence[Table] = TABLES

    def take(self, kind: Kind) -> tuple[list[Done], int]:
        """Do what is due of one kind; returns what was done and how many pieces are left."""
        return self.bite.take(due(self._look(), now=self.now(), limits=self.limits), kind)

    def count(self) -> list[Counted]:
        return count(self.lake.root, self.tables, now=self.now())

    def _look(self) -> list[TableFiles]:
        return list(inspect_all(self.lake.root, self.tables))


def open_upkeep(settings: Settings, lake: Lake, *, is_wanted: Callable[[], bool]) -> Upkeep:
    def do(work: Work, *, seconds: float) -> Done:
        return perform(lake, work, now=datetime.now(UTC), seconds=seconds)

    bite = Bite(perform=do, is_wanted=is_wanted, seconds=settings.keeping.bite_seconds)
    return Upkeep(lake=lake, limits=limits_of(settings), bite=bite)


def limits_of(settings: Settings) -> Limits:
    keeping = settings.keeping
    kept = frozenset() if keeping.raw_vacuum else frozenset({"raw"})
    return Limits(days=keeping.layer_days, not_vacuumed=kept)


def works_due(settings: Settings) -> tuple[Work, ...]:
    """What a lake needs now, read from its logs alone: no Spark, so a sensor may ask."""
    tables = list(inspect_all(settings.lake_root, TABLES))
    return due(tables, now=datetime.now(UTC), limits=limits_of(settings))


def count(root: str, tables: Sequence[Table], *, now: datetime) -> list[Counted]:
    """Each table's files, read from the logs alone."""
    return [counted(files, now=now) for files in inspect_all(root, tables)]


def counted(files: TableFiles, *, now: datetime) -> Counted:
    by_date = files.by_date()
    today = now.date()
    past = [n for day, n in by_date.items() if day is not None and day < today]
    current = [n for day, n in by_date.items() if day is None or day >= today]
    oldest = files.log.oldest_at
    return Counted(
        key=files.table.key,
        files=files.files,
        bytes=files.bytes,
        most_of_a_past_date=max(past, default=0),
        most_of_now=max(current, default=0),
        log_objects=files.log.objects,
        log_days=0.0 if oldest is None else (now - oldest).total_seconds() / 86_400,
    )
