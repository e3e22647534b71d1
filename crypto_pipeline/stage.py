"""What a stage is, what it is given, what it returns: plain values, no session, no clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pyspark.sql import functions as F

from crypto_pipeline.contract.message import MarketKind
from crypto_pipeline.contract.topic import Topic
from crypto_pipeline.lake.table import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Known = Callable[..., "DataFrame"]
Keep = Callable[..., "DataFrame"]
KeepAll = Callable[..., "list[DataFrame]"]
Last = Callable[[Table], Mapping[str, Any] | None]


def cached(frame: DataFrame, *, reach: int = 1) -> DataFrame:
    """Spark's own cache, whatever `reach` is."""
    return frame.cache()


def all_cached(*frames: DataFrame) -> list[DataFrame]:
    return [cached(frame) for frame in frames]


def never(table: Table) -> None:
    """The last commit of a table that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageInput:
    """One pinned range. `new` holds the rows of the range by table key (or `kafka`).

    `known(table, since=…, until=…, columns=…)` reads what earlier batches wrote, with at least
    these columns, or all: rows of this batch, left by an attempt that died, are not seen, so a
    retry computes the same. `span` is the first and last fact time in `new`, None without rows.
    `before` is the newest fact time that the stage's earlier ranges held, by table key; a table
    that never had a row is not in it. `again` says that the rows were read before: replay (they
    were rejected) or release (they were held). `held` are the sources that gold takes nothing of.
    `keep` gives a frame that is used more than once such that it is computed once, `keep_all`
    several side by side; its `reach` is how many rows of a table each new row looks at.
    `last(table)` is what the last commit of a table says of itself, its ranges; None before it.
    """

    market: MarketKind
    batch: int
    epoch: int
    now: datetime
    new: Mapping[str, DataFrame]
    known: Known
    span: tuple[datetime, datetime] | None
    before: Mapping[str, datetime] = field(default_factory=dict)
    again: Literal["replay", "release"] | None = None
    held: frozenset[str] = frozenset()
    keep: Keep = cached
    keep_all: KeepAll = all_cached
    last: Last = never


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The part of a table to rewrite when a row in it changes: predicate and rows to keep."""

    predicate: str
    kept: DataFrame
    replacing: DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """Outputs by table key, and the input rows again, each with an `outcome`.

    `equations` says which output the rows of an outcome must equal in number; an outcome
    that is not named there is counted and goes nowhere else. `weights` has a row for each record
    of a topic, `name` and `bytes`: the next range is cut by them.
    """

    outputs: Mapping[str, DataFrame]
    classified: tuple[DataFrame, ...]
    equations: Mapping[str, str]
    slices: Mapping[str, Slice] = field(default_factory=dict)
    weights: DataFrame | None = None
    cached: tuple[DataFrame, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Reads topics or the tables of the stage before; the primary output is committed last.

    The first of `sides` is committed before everything else and in every batch, empty or not, so
    it should be one that has rows in a normal minute.

    `reads` are read by increment of the batches of their own stage, whose primary is first. A
    stage that holds back takes nothing of a source with too many rejected rows.
    """

    name: str
    reads: tuple[Table, ...]
    topics: tuple[Topic, ...] = ()
    primary: Table
    sides: tuple[Table, ...] = ()
    holds_back: bool = False
    run: Callable[[StageInput], StageResult]

    @property
    def outputs(self) -> tuple[Table, ...]:
        return (*self.sides, self.primary)

    @property
    def kind(self) -> Literal["topics", "batches"]:
        return "topics" if self.topics else "batches"


def conform(frame: DataFrame, table: Table, *, batch: int) -> DataFrame:
    """Select exactly the table's columns, cast to their types, with the batch number."""
    return frame.withColumn("batch", F.lit(batch)).select(
        *(F.col(f.name).cast(f.dataType).alias(f.name) for f in table.schema.fields)
    )
