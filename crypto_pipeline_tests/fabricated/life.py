"""The life of one table: what writer and upkeep do to its files, minute by minute.

What is due is asked of `maintenance.work` itself, so the files of a history follow its rules.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

from crypto_pipeline.lake.removed import REMOVED_PROPERTY
from crypto_pipeline.lake.table import days_of
from crypto_pipeline.maintenance.table_files import VACUUMED_PROPERTY
from crypto_pipeline.maintenance.work import Limits, Work
from crypto_pipeline_tests.fabricated.shapes import Shape, Values, is_replaced
from crypto_pipeline_tests.fabricated.sizes import Sizes

What = Literal["create", "write", "compact", "retain", "vacuum start", "vacuum end", "properties"]


LOG_DAYS = timedelta(days=days_of("logRetentionDuration"))
DEAD_DAYS = timedelta(days=days_of("deletedFileRetentionDuration"))
# Beyond the log the day that is cut off whole, and what its oldest checkpoint names as removed.
SEEN = LOG_DAYS + DEAD_DAYS + timedelta(days=2)
# What was removed takes place on the disk until a vacuum a day later, at the latest.
ON_DISK = DEAD_DAYS + timedelta(days=1)


@dataclass(slots=True, kw_only=True, eq=False)
class DataFile:
    """One file with the batches [first, last]; times in milliseconds, `size` as the log says."""

    path: str
    values: Values
    topic: str
    first: int
    last: int
    rows: int
    size: int
    at: int
    removed_at: int | None = None


@dataclass(slots=True, kw_only=True)
class Entry:
    """One version of the table. `number` is the newest batch that the table then has.

    `noted` are the properties that upkeep has set by then, the one of this version last.
    """

    version: int
    what: What
    at: int
    number: int
    added: Sequence[DataFile] = ()
    removed: Sequence[DataFile] = ()
    predicate: str = ""
    noted: Mapping[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Life:
    """Files by partition, and the newest versions; of older ones only the number is known.

    `dead` are removed files that a checkpoint of the log may still name, in the order of time.
    """

    shape: Shape
    sizes: Sizes
    limits: Limits
    entries: list[Entry] = field(default_factory=list)
    dead: list[DataFile] = field(default_factory=list)
    files: dict[Values, list[DataFile]] = field(default_factory=dict)
    version: int = -1
    noted: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        history = self.shape.history
        self._seed = random.Random(f"{self.shape.table.key} {history.market.begin}")
        # A table without rows has a checkpoint in weeks, and its log reaches back to one.
        seen = milliseconds(history.looked_at(history.minutes) - SEEN)
        self._begin = seen if self.shape.parts else 0

    def create(self, *, at: int) -> None:
        self.change("create", at=at, number=0)

    def write(self, number: int) -> None:
        """The commit of one batch."""
        at = self.shape.history.committed_ms(self.shape.stage, number)
        added = [
            self.file(self.shape.values(number, part), part.topic, number, number, rows, at)
            for part in self.shape.parts
            if (rows := part.rows(number)) > 0
        ]
        removed = self.all_files() if is_replaced(self.shape.table) else []
        self.change("write", at=at, number=number, added=added, removed=removed)

    def all_files(self) -> list[DataFile]:
        return [file for files in self.files.values() for file in files]

    def file(
        self, values: Values, topic: str, first: int, last: int, rows: int, at: int
    ) -> DataFile:
        name = uuid.UUID(int=self._seed.getrandbits(128), version=4)
        folder = "".join(f"{column}={value}/" for column, value in values)
        mark = "." if values else "-"
        return DataFile(
            path=f"{folder}part-00000-{name}{mark}c000.zstd.parquet",
            values=values,
            topic=topic,
            first=first,
            last=last,
            rows=rows,
            size=self.sizes.of(self.shape.table.key, topic, last - first + 1),
            at=at,
        )

    def change(
        self,
        what: What,
        *,
        at: int,
        number: int,
        added: Sequence[DataFile] = (),
        removed: Sequence[DataFile] = (),
        predicate: str = "",
    ) -> None:
        """One version, in which files may go and come."""
        for file in removed:
            file.removed_at = at
            own = self.files[file.values]
            own.remove(file)
            if not own:
                del self.files[file.values]
        for file in added:
            self.files.setdefault(file.values, []).append(file)
        self.version += 1
        if at >= self._begin:
            self.dead += removed
            self.entries.append(
                Entry(
                    version=self.version,
                    what=what,
                    at=at,
                    number=number,
                    added=added,
                    removed=removed,
                    predicate=predicate,
                    noted=self.noted,
                )
            )

    def vacuum(self, day: date, *, at: int, number: int) -> None:
        """Three versions: it begins, it ends, and the day is noted on the table."""
        self.change("vacuum start", at=at, number=number)
        self.change("vacuum end", at=at + 400, number=number)
        self._note(VACUUMED_PROPERTY, day, at=at + 800, number=number)

    def retain(self, work: Work, *, at: int, number: int, removed: Sequence[DataFile]) -> None:
        """Two versions: from which date on nothing is gone is noted first."""
        self._note(REMOVED_PROPERTY, work.removed_before, at=at, number=number)
        self.change("retain", at=at + 400, number=number, removed=removed, predicate=work.predicate)

    def _note(self, name: str, day: date, *, at: int, number: int) -> None:
        others = {key: value for key, value in self.noted.items() if key != name}
        self.noted = {**others, name: f"{day}"}
        self.change("properties", at=at, number=number)


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
