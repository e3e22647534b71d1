"""The books of one run: rows in, rows by outcome, rows out, each counted on its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crypto_pipeline.errors import BooksError
from crypto_pipeline.stage import Stage, StageResult

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Rows by outcome over the input, rows of each output and what time they are about.

    `replacing` counts rows that take the place of older ones; spans are epoch seconds; `bytes`
    is by topic.
    """

    outcomes: Mapping[str, int]
    outputs: Mapping[str, int]
    spans: Mapping[str, tuple[float | None, float | None]]
    replacing: Mapping[str, int]
    bytes: Mapping[str, int] = field(default_factory=dict)


def count(stage: Stage, result: StageResult) -> Counts:
    """Count everything in one query: a Connect round trip costs more than the counting."""
    nothing = F.lit(None).cast("double")
    label = F.coalesce(F.col("outcome"), F.lit("?"))
    parts = [
        frame.groupBy(label.alias("name"))
        .agg(F.count("*").alias("n"))
        .select(
            F.lit("outcome").alias("what"),
            "name",
            "n",
            nothing.alias("first"),
            nothing.alias("last"),
        )
        for frame in result.classified
    ]
    parts += [
        _sized(result.outputs[table.key], "output", table.key, table.fact_column)
        for table in stage.outputs
    ]
    parts += [_sized(s.replacing, "replacing", key, None) for key, s in result.slices.items()]
    if result.weights is not None:
        parts.append(
            result.weights.groupBy("name")
            .agg(F.sum("bytes").alias("n"))
            .select(
                F.lit("bytes").alias("what"),
                "name",
                "n",
                nothing.alias("first"),
                nothing.alias("last"),
            )
        )
    found: dict[str, dict[str, int]] = {"outcome": {}, "output": {}, "replacing": {}, "bytes": {}}
    spans = {}
    for row in reduce(lambda a, b: a.unionByName(b), parts).collect():
        kind = found[row["what"]]
        kind[row["name"]] = kind.get(row["name"], 0) + row["n"]
        if row["what"] == "output":
            spans[row["name"]] = (row["first"], row["last"])
    return Counts(
        outcomes=found["outcome"],
        outputs=found["output"],
        spans=spans,
        replacing=found["replacing"],
        bytes=found["bytes"],
    )


def _sized(frame: DataFrame, what: str, name: str, fact: str | None) -> DataFrame:
    at = F.lit(None).cast("double") if fact is None else F.col(fact).cast("double")
    return frame.agg(
        F.count("*").alias("n"), F.min(at).alias("first"), F.max(at).alias("last")
    ).select(F.lit(what).alias("what"), F.lit(name).alias("name"), "n", "first", "last")


def check_books(stage: Stage, rows_in: int, counts: Counts, result: StageResult) -> None:
    """Rows in equal the rows of all outcomes, and each output equals the outcomes meant for it."""
    if rows_in != sum(counts.outcomes.values()):
        raise BooksError(
            f"Stage {stage.name} read {rows_in} rows and accounts for {dict(counts.outcomes)}. "
            "Nothing was written. Run the stage again; if it stays, keep the raw table and tell us."
        )
    for key in set(result.equations.values()):
        expected = sum(
            counts.outcomes.get(outcome, 0)
            for outcome, target in result.equations.items()
            if target == key
        )
        if counts.outputs[key] != expected:
            raise BooksError(
                f"Stage {stage.name} would write {counts.outputs[key]} rows to {key}, its outcomes "
                f"say {expected}. Nothing was written."
            )
