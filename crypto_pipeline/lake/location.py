"""Where tables live: a folder, `s3a://`, or Databricks: its external location or its catalog."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pyspark.errors import PySparkException
from pyspark.sql import functions as F
from pyspark.sql.types import StructField

from crypto_pipeline import formats
from crypto_pipeline.contract.message import MarketKind
from crypto_pipeline.errors import (
    ForeignEngineError,
    ForeignMarketError,
    LeaseHeldError,
    SchemaDriftError,
)
from crypto_pipeline.lake import log
from crypto_pipeline.lake.few_rows import few_rows, of_batches, of_span
from crypto_pipeline.lake.lease import FOLDER, file_name
from crypto_pipeline.lake.log import TableState
from crypto_pipeline.lake.opening import exists, look_again
from crypto_pipeline.lake.spark_log import load, relation
from crypto_pipeline.lake.table import Engine, Table
from crypto_pipeline.lake.values import as_frame

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

MARKET_PROPERTY = "crypto_pipeline.market"
ENGINE_PROPERTY = "crypto_pipeline.engine"
# Databricks switches these on by itself where a workspace says so; other readers know none.
PLAIN = {"delta.enableDeletionVectors": "false", "delta.enableRowTracking": "false"}


@dataclass(frozen=True)
class Lake:
    """All tables of one market kind under one root, seen through one Spark session.

    `lease_epoch` is the lease that the session's server holds; each commit carries it. `engine`
    is whose Spark it is: a table has one that writes it. With a `catalog` tables go by its names,
    `layer.table`, and have their files under the root.
    """

    spark: SparkSession
    root: str
    market: MarketKind
    lease_epoch: int = 0
    engine: Engine = "spark"
    catalog: str | None = None

    def path(self, table: Table) -> str:
        """How the table is opened: its place, or its name in the catalog."""
        if self.catalog is not None:
            return f"{self.catalog}.{table.layer}.{table.name}"
        return self.place(table)

    def place(self, table: Table) -> str:
        """Where the table's files are."""
        return f"{self.root.rstrip('/')}/{table.key}"

    def refuse_if_overtaken(self) -> None:
        """Raises LeaseHeldError when a server with a higher lease has this lake by now.

        The guard kills a server whose lease is over; this is for the time when it cannot.
        """
        if self.lease_epoch and exists(self.root, f"{FOLDER}/{file_name(self.lease_epoch + 1)}"):
            raise LeaseHeldError(
                f"The lease {self.lease_epoch} of this Spark server was taken over, so nothing "
                f"more is written through it. See {self.root}/{FOLDER} for who has the lake now."
            )

    def ensure(self, table: Table) -> None:
        """Create the table when it is missing; refuse one of another market, engine or shape.

        Raises ForeignMarketError, ForeignEngineError, FormatError, or SchemaDriftError with the
        kind of drift.
        """
        state = self.register(table)
        if state is None:
            self._create(table)
            return
        self._refuse_foreign(table, state)
        formats.refuse_other(
            f"Table {table.key} in {self.root}", formats.of_table(state.properties)
        )
        expected = [(f.name, f.dataType.simpleString()) for f in table.schema.fields]
        new = added_columns(table, list(state.columns))
        drift = describe_drift(expected, [*state.columns, *((f.name, f.kind) for f in new)])
        if drift:
            raise SchemaDriftError(
                f"Table {table.key} differs from its schema: {drift}. Run the code version that "
                "wrote it, or rebuild the table."
            )
        if new:
            columns = ", ".join(f.definition for f in new)
            self.spark.sql(f"ALTER TABLE {relation(self.path(table))} ADD COLUMNS ({columns})")
            look_again(self.path(table))

    def register(self, table: Table) -> TableState | None:
        """Give a table whose files are there its name in the catalog, when it has none yet.

        Nothing is written into the table's log. Returns what the table is; None when there is none.
        """
        state = log.open_table(self.path(table))
        if self.catalog is None or state is not None:
            return state
        self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {self.catalog}.{table.layer}")
        if log.open_table(self.place(table)) is None:
            return None
        self.spark.sql(
            f"CREATE TABLE IF NOT EXISTS {self.path(table)} USING DELTA "
            f"LOCATION '{self.place(table)}'"
        )
        return log.open_table(self.path(table))

    def _create(self, table: Table) -> None:
        """An object store may make the table and lose the answer; the client's second request
        then meets the first one's entry, and Delta takes it for another writer's.
        """
        try:
            self.spark.sql(_create_statement(self, table))
        except PySparkException:
            if log.open_table(self.path(table)) is None:
                raise

    def refuse_foreign(self, table: Table) -> None:
        """Raises ForeignMarketError or ForeignEngineError for a table that is not ours to write."""
        state = log.open_table(self.path(table))
        if state is not None:
            self._refuse_foreign(table, state)

    def _refuse_foreign(self, table: Table, state: TableState) -> None:
        if state.properties.get(MARKET_PROPERTY) != self.market:
            raise ForeignMarketError(
                f"Table {table.key} in {self.root} holds "
                f"{state.properties.get(MARKET_PROPERTY)} data, this run has MARKET={self.market}. "
                "Set LAKE_ROOT to another folder, or MARKET to the lake's own."
            )
        if state.properties.get(ENGINE_PROPERTY) != self.engine:
            raise ForeignEngineError(
                f"Table {table.key} is written by {state.properties.get(ENGINE_PROPERTY)}, this is "
                f"{self.engine}. One engine writes a table: set RUNNER and DATABRICKS_LAYERS as "
                "they were, or move the table (docs/databricks.md)."
            )

    def read(
        self,
        table: Table,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        columns: Collection[str] | None = None,
    ) -> DataFrame:
        """The table's rows whose fact lies in [since, until]; date and file statistics prune.

        With `columns` it need have no others beside the table's fact, its date and its batch.
        """
        if columns is not None:
            columns = {*columns, table.fact_column, "date", "batch"}
        frame = self._rows(table, of_span(table, since=since, until=until), columns)
        if since is not None:
            if "date" in table.partition_by:
                frame = frame.where(F.col("date") >= F.lit(since.date()))
            frame = frame.where(F.col(table.fact_column) >= F.lit(since))
        if until is not None:
            if "date" in table.partition_by:
                frame = frame.where(F.col("date") <= F.lit(until.date()))
            frame = frame.where(F.col(table.fact_column) <= F.lit(until))
        return frame

    def increment(self, table: Table, *, after: int, to: int) -> DataFrame:
        """The rows of the batches in (after, to]; holds through OPTIMIZE and VACUUM."""
        frame = self._rows(table, of_batches(after=after, to=to))
        return frame.where((F.col("batch") > F.lit(after)) & (F.col("batch") <= F.lit(to)))

    def load_state(self, table: Table) -> None:
        """Have the session's server compute the table's state, which its next commit needs."""
        self.spark.sql(f"DESCRIBE DETAIL {relation(self.path(table))}")

    def _rows(self, table: Table, where: str, columns: Collection[str] | None = None) -> DataFrame:
        """At least the rows that hold the condition: as values when they are few, else a scan."""
        values = self.few(table, where, columns)
        if values is not None:
            return as_frame(self.spark, values, table.schema)
        return load(self.spark, self.path(table))

    def few(
        self, table: Table, where: str, columns: Collection[str] | None = None
    ) -> pa.Table | None:
        """The rows that hold the condition; None when they are many, or another engine's."""
        if self.engine == "databricks" or self.catalog is not None:
            return None
        return few_rows(self.path(table), table, where=where, columns=columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewColumn:
    """A column that a table lacks because it is older than the column."""

    name: str
    kind: str
    definition: str


def added_columns(table: Table, found: list[tuple[str, str]]) -> list[NewColumn]:
    """The declared columns that came later and are not among those found; null in old rows."""
    have = {name for name, _ in found}
    return [
        NewColumn(name=f.name, kind=f.dataType.simpleString(), definition=_definition(f))
        for f in table.schema.fields
        if f.metadata.get("added") and f.name not in have
    ]


def describe_drift(expected: list[tuple[str, str]], found: list[tuple[str, str]]) -> str:
    """Name each kind of drift: missing, unexpected, wrong type; empty when there is none.

    >>> describe_drift([("a", "bigint"), ("b", "string")], [("a", "string"), ("c", "int")])
    'missing column b; unexpected column c; column a is string, not bigint'
    """
    have, want = dict(found), dict(expected)
    parts = [f"missing column {name}" for name in want if name not in have]
    parts += [f"unexpected column {name}" for name in have if name not in want]
    parts += [
        f"column {name} is {have[name]}, not {kind}"
        for name, kind in want.items()
        if name in have and have[name] != kind
    ]
    return "; ".join(parts)


def _create_statement(lake: Lake, table: Table) -> str:
    columns = ", ".join(_definition(f) for f in table.schema.fields)
    own = {MARKET_PROPERTY: lake.market, ENGINE_PROPERTY: lake.engine}
    marks = {**own, formats.PROPERTY: formats.FORMAT}
    properties = {**table.properties, **(PLAIN if lake.engine == "databricks" else {}), **marks}
    pairs = ", ".join(f"'{name}' = '{value}'" for name, value in properties.items())
    place = "" if lake.catalog is None else f"LOCATION '{lake.place(table)}'"
    partition = f"PARTITIONED BY ({', '.join(table.partition_by)})" if table.partition_by else ""
    return (
        f"CREATE TABLE IF NOT EXISTS {relation(lake.path(table))} ({columns}) USING DELTA "
        f"{partition} {place} COMMENT '{_quoted(table.description)}' TBLPROPERTIES ({pairs})"
    )


def _definition(field: StructField) -> str:
    comment = _quoted(field.metadata["comment"])
    return f"`{field.name}` {field.dataType.simpleString()} COMMENT '{comment}'"


def _quoted(words: str) -> str:
    return words.replace("\\", "\\\\").replace("'", "\\'")
