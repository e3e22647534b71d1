"""Where each stage stood when the audit began: what comes meanwhile is not looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.lake.removed import removed_before
from crypto_pipeline.lake.table import Layer, Table
from crypto_pipeline.stage import Stage
from crypto_pipeline.stages import STAGES, TABLES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Commits = tuple[tuple[datetime, CommitRecord], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """The lake as it stood: the newest commit of each stage, and those that its log still has.

    `start` and `end` are broker times, UTC; None is without limit. `end` is not included. `whole`
    has the first UTC date that a layer still holds whole, where retention has removed some.
    """

    lake: Lake
    start: datetime | None
    end: datetime | None
    last: Mapping[str, CommitRecord | None]
    history: Mapping[str, Commits]
    versions: Mapping[str, int]
    whole: Mapping[Layer, date] = field(default_factory=dict)

    def batch(self, stage: Stage) -> int:
        """The newest batch of a stage; 0 when it never ran."""
        record = self.last[stage.name]
        return 0 if record is None else record.batch

    def taken(self, stage: Stage) -> int:
        """The newest batch of the stage before that this one has read."""
        record = self.last[stage.name]
        return 0 if record is None else int(record.ranges["batches"]["to"])

    def rows(self, table: Table, *, upto: int) -> DataFrame:
        """Rows of an append table up to a batch, whenever they came."""
        frame = self.lake.spark.read.format("delta").load(self.lake.path(table))
        return frame.where(F.col("batch") <= F.lit(upto))

    def within(self, rows: DataFrame) -> DataFrame:
        """The rows whose record reached the broker in the range."""
        if self.start is not None:
            rows = rows.where(F.col("broker_at") >= F.lit(self.start))
        return rows if self.end is None else rows.where(F.col("broker_at") < F.lit(self.end))

    def whole_from(self, *layers: Layer) -> date | None:
        """The first date that all of these layers hold whole; None when none has lost any."""
        return max((self.whole[one] for one in layers if one in self.whole), default=None)

    def still_has(self, table: Table, record: CommitRecord) -> bool:
        """Whether retention has left all rows of the table that a commit counts."""
        first_day = self.whole_from(table.layer)
        _, first, _ = record.outputs.get(table.key, (0, None, None))
        return first_day is None or first is None or first >= midnight(first_day).timestamp()

    def commits(self, stage: Stage) -> Commits:
        """The stage's commits of the range that its log still has, oldest first."""
        return tuple(
            (at, record)
            for at, record in self.history[stage.name]
            if record.batch <= self.batch(stage)
            and (self.start is None or at >= self.start)
            and (self.end is None or at < self.end)
        )

    def as_of(self, table: Table, stage: Stage, *, batch: int) -> DataFrame | None:
        """A rewritten table as it stood before the batch after this one; None before its first.

        Commits of others in between are in it: what they did to the rows is to be found.
        """
        if batch == 0 or self.last[stage.name] is None:
            return None
        later = [r.version for _, r in self.history[stage.name] if r.batch > batch]
        version = min(later) - 1 if later else self.versions[stage.name]
        reader = self.lake.spark.read.format("delta").option("versionAsOf", version)
        return reader.load(self.lake.path(table))


def pin(lake: Lake, *, start: datetime | None, end: datetime | None) -> Pins:
    """Read the logs, the last stage first: what it has read, the stages before it have."""
    last: dict[str, CommitRecord | None] = {}
    history, versions = {}, {}
    for stage in reversed(STAGES):
        path = lake.path(stage.primary)
        state = log.open_table(path)
        record = log.last_commit(path)
        last[stage.name] = record
        newest = 0 if record is None else record.batch
        history[stage.name] = tuple(c for c in log.commits(path) if c[1].batch <= newest)
        versions[stage.name] = max(
            -1 if state is None else state.version, -1 if record is None else record.version
        )
    return Pins(
        lake=lake,
        start=start,
        end=end,
        last=last,
        history=history,
        versions=versions,
        whole=_whole(lake),
    )


def _whole(lake: Lake) -> dict[Layer, date]:
    whole: dict[Layer, date] = {}
    for table in TABLES:
        state = log.open_table(lake.path(table))
        day = None if state is None else removed_before(state.properties)
        if day is not None:
            whole[table.layer] = max(day, whole.get(table.layer, day))
    return whole


def midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def since(rows: DataFrame, day: date | None, column: str = "date") -> DataFrame:
    """The rows from a UTC date on, by a column of dates; all without a date."""
    return rows if day is None else rows.where(F.col(column) >= F.lit(day))
