"""The looks of the upkeep at one table: compaction, retention, vacuum, where they are due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from crypto_pipeline.maintenance.perform import SETTLED_BYTES
from crypto_pipeline.maintenance.table_files import LogFolder, Partition, TableFiles
from crypto_pipeline.maintenance.work import Work, compactions, removals, vacuums
from crypto_pipeline_tests.fabricated.life import DataFile, Life, milliseconds
from crypto_pipeline_tests.fabricated.shapes import Values

# Between two commits of one look.
STEP_MS = 900


@dataclass(kw_only=True)
class Upkeep:
    """One table's; the day of the last look tells when dates have become past ones."""

    life: Life
    made_on: date
    last_day: date | None = None

    def look(self, number: int) -> None:
        at = self.life.shape.history.looked_at(number)
        is_new_day, self.last_day = self.last_day != at.date(), at.date()
        if not is_new_day and not self._has_many(at.date()):
            return
        moment = milliseconds(at)
        for work in self._due(at.date(), is_new_day=is_new_day):
            self._do(work, at=moment, number=number)
            moment += STEP_MS

    def _has_many(self, today: date) -> bool:
        """A cheap first look: what is past does not change, and of today few files are not due."""
        recent = {f"{today}": 0, f"{today - timedelta(days=1)}": 0}
        for values, files in self.life.files.items():
            if values and values[0][1] in recent:
                recent[values[0][1]] += len(files)
        now, before = recent.values()
        limits = self.life.limits
        return now >= limits.current_files_due or before > limits.past_files

    def _due(self, today: date, *, is_new_day: bool) -> Iterator[Work]:
        found, limits = self._found(), self.life.limits
        yield from compactions(found, today=today, limits=limits)
        if is_new_day:
            yield from removals(found, today=today, limits=limits, read={})
            yield from vacuums(found, today=today, limits=limits)

    def _do(self, work: Work, *, at: int, number: int) -> None:
        if work.kind == "compact":
            self._compact(work, at=at, number=number)
        elif work.kind == "retain":
            old = [f for f in self.life.all_files() if f"'{_date(f.values)}'" in work.predicate]
            self.life.retain(work, at=at, number=number, removed=old)
        else:
            day = datetime.fromtimestamp(at / 1000, UTC).date()
            self.life.vacuum(day, at=at, number=number)

    def _compact(self, work: Work, *, at: int, number: int) -> None:
        """OPTIMIZE of one partition: what is small becomes one file; of one file nothing."""
        parts = self.life.files.items()
        own = next(f for v, f in parts if _partition(v, f).predicate == work.predicate)
        small = [file for file in own if work.is_past or file.size < SETTLED_BYTES]
        if len(small) < 2:
            return
        first, last = min(f.first for f in small), max(f.last for f in small)
        rows = sum(file.rows for file in small)
        whole = self.life.file(small[0].values, small[0].topic, first, last, rows, at)
        self.life.change(
            "compact", at=at, number=number, added=[whole], removed=small, predicate=work.predicate
        )

    def _found(self) -> TableFiles:
        """The table as `maintenance.table_files.inspect` would find it."""
        midnight = datetime.combine(self.made_on, datetime.min.time(), UTC)
        return TableFiles(
            table=self.life.shape.table,
            version=self.life.version,
            properties=self.life.noted,
            partitions=tuple(_partition(v, files) for v, files in self.life.files.items()),
            log=LogFolder(objects=0, commits=0, checkpoints=0, bytes=0, oldest_at=midnight),
            committed=None,
            committed_at=None,
        )


def _partition(values: Values, files: list[DataFile]) -> Partition:
    day = _date(values)
    return Partition(
        values=values,
        date=None if day is None else date.fromisoformat(day),
        files=len(files),
        bytes=sum(file.size for file in files),
        rows=sum(file.rows for file in files),
        newest_batch=max(file.last for file in files),
    )


def _date(values: Values) -> str | None:
    return dict(values).get("date")
