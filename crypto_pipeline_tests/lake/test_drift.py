"""Drift is named by its kind; every declared table keeps the rules of the house."""

from __future__ import annotations

import re

import pytest
from pyspark.sql.types import TimestampType

from crypto_pipeline.lake.location import describe_drift
from crypto_pipeline.lake.table import BATCH, DATE, Table
from crypto_pipeline.stages import STAGES, TABLES


@pytest.mark.parametrize(
    ("expected", "found", "words"),
    [
        ([("a", "int")], [("a", "int")], ""),
        ([("a", "int"), ("b", "int")], [("b", "int"), ("a", "int")], ""),
        ([("a", "int"), ("b", "int")], [("a", "int")], "missing column b"),
        ([("a", "int")], [("a", "int"), ("b", "int")], "unexpected column b"),
        ([("a", "int")], [("a", "bigint")], "column a is bigint, not int"),
        ([("a", "int")], [], "missing column a"),
        (
            [("price", "decimal(38,18)")],
            [("price", "double"), ("x", "int")],
            "unexpected column x; column price is double, not decimal(38,18)",
        ),
    ],
)
def test_drift_is_named_by_its_kind(
    expected: list[tuple[str, str]], found: list[tuple[str, str]], words: str
) -> None:
    assert describe_drift(expected, found) == words


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.key)
def test_a_table_keeps_the_rules_of_the_house(table: Table) -> None:
    fields = {field.name: field for field in table.schema.fields}
    assert list(fields)[-1] == BATCH.name
    assert set(table.keys) <= set(fields)
    assert table.fact_column in fields
    assert isinstance(fields[table.fact_column].dataType, TimestampType)
    assert set(table.partition_by) <= {"date", "topic"}
    assert ("date" in fields) == ("date" in table.partition_by)
    for name, field in fields.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert field.metadata["comment"]
        is_time = isinstance(field.dataType, TimestampType)
        assert is_time == (name.endswith("_at") or name.startswith("trained_"))
        if name in ("price", "bid", "ask", "open", "high", "low", "close", "last"):
            assert field.dataType.simpleString() == "decimal(38,18)"
    if "date" in fields:
        assert fields["date"] == DATE


def test_a_table_belongs_to_one_stage_and_a_stage_reads_what_one_before_it_wrote() -> None:
    outputs = [table.key for stage in STAGES for table in stage.outputs]
    assert len(outputs) == len(set(outputs))
    written: set[str] = set()
    for stage in STAGES:
        assert {table.key for table in stage.reads} <= written
        assert bool(stage.topics) != bool(stage.reads)
        written |= {table.key for table in stage.outputs}
