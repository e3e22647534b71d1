"""Two accounts of the same rows, compared: what is missing, doubled, unexpected or altered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crypto_pipeline.lake.table import Table
from crypto_pipeline.raw.schema import RECORDS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

COORDINATES = RECORDS.keys
# Spark's own form leaves out nulls and microseconds.
AS_JSON = {"ignoreNullFields": "false", "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What is wrong with how many rows of a table, and where the first of them is."""

    table: str
    what: str
    rows: int
    example: str

    @property
    def layer(self) -> str:
        return self.table.split("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A stage's books, recounted from the tables: rows in, and rows by what became of them."""

    stage: str
    rows_in: int
    outcomes: Mapping[str, int]

    @property
    def balances(self) -> bool:
        return self.rows_in == sum(self.outcomes.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One layer's part of the audit."""

    lines: tuple[Line, ...]
    differences: tuple[Difference, ...]


def coordinates() -> Column:
    """`market.ticks 0/2@17`: topic, epoch, partition and offset of a record."""
    return F.format_string("%s %d/%d@%d", *(F.col(name) for name in COORDINATES))


def minute() -> Column:
    return F.concat_ws(" ", "source", "symbol", F.date_format("minute_at", "yyyy-MM-dd'T'HH:mm'Z'"))


def prints(
    rows: DataFrame,
    table: Table,
    label: Column,
    *,
    slot: Column | None = None,
    without: Sequence[str] = (),
) -> DataFrame:
    """Rows as label, slot and a hash of every column but the batch and those left out.

    The slot begins with the table's key.
    """
    columns = [
        F.col(f.name).cast(f.dataType).alias(f.name)
        for f in table.schema.fields
        if f.name not in ("batch", *without)
    ]
    content = F.sha2(F.to_json(F.struct(*columns), AS_JSON), 256)
    return rows.select(
        label.alias("label"),
        (F.lit(table.key) if slot is None else slot).alias("slot"),
        content.alias("print"),
    )


def compare(expected: DataFrame, found: DataFrame) -> tuple[dict[str, int], list[Difference]]:
    """Rows found by slot, and the differences; both frames are made by `prints`."""
    want = expected.groupBy("label", "slot").agg(
        F.count("*").alias("want"), F.min("print").alias("want_print")
    )
    have = found.groupBy("label", "slot").agg(
        F.count("*").alias("have"), F.min("print").alias("have_print")
    )
    wanted, there = F.coalesce("want", F.lit(0)), F.coalesce("have", F.lit(0))
    what = (
        F.when(wanted == 0, "unexpected")
        .when(there < wanted, "missing")
        .when(there > wanted, "doubled")
        .when(F.col("want_print") != F.col("have_print"), "altered")
        .otherwise("")
    )
    rows = (
        want.join(have, on=["label", "slot"], how="full_outer")
        .groupBy("slot", what.alias("what"))
        .agg(F.count("*").alias("n"), F.min("label").alias("first"), F.sum(there).alias("there"))
        .orderBy("slot", "what")
        .collect()
    )
    counts: dict[str, int] = {}
    differences = []
    for row in rows:
        counts[row["slot"]] = counts.get(row["slot"], 0) + row["there"]
        if row["what"]:
            table, _, outcome = row["slot"].partition(" ")
            what_is = f"{row['what']} ({outcome})" if outcome else row["what"]
            differences.append(
                Difference(table=table, what=what_is, rows=row["n"], example=row["first"])
            )
    return counts, differences
