"""The data dictionary: a page made of what the tables and their columns say of themselves."""

from __future__ import annotations

from collections.abc import Iterable

from crypto_pipeline.lake.table import Table
from crypto_pipeline.stages import STAGES, TABLES

INTRODUCTION = """\
# Data dictionary

Every table of the lake and every column, as the schemas in the code say it. This page is written by
`crypto-pipeline dictionary --write`; a test fails when it is not up to date.

All tables are Delta with reader version 1 and writer version 2, so Spark, Databricks, DuckDB,
Polars and `deltalake` open them. All times are UTC (`timestamp`), all dates are UTC dates, prices
and sizes are `decimal(38,18)`. A row carries the `batch` of the stage that wrote it. *How written*:
`append` only adds rows; `slice` adds them and rewrites the minutes that a late or corrected row
changes; `overwrite` is a small table about now, written whole.
"""


def page(tables: Iterable[Table] = TABLES) -> str:
    """The whole page as Markdown."""
    listed = tuple(tables)
    return "\n".join([INTRODUCTION, *_contents(listed), *(_section(t) for t in listed)])


def _contents(tables: tuple[Table, ...]) -> list[str]:
    rows = [f"| [`{t.key}`](#{_anchor(t)}) | {_cell(t.description)} |" for t in tables]
    return ["| table | one row is |", "| --- | --- |", *rows, ""]


def _section(table: Table) -> str:
    facts = {
        "Unique by": _names(table.keys),
        "Partitioned by": _names(table.partition_by) or "nothing",
        "The time that a row is about": f"`{table.fact_column}`",
        "How written": table.write_mode,
        "Written by stage": _writer(table),
    }
    columns = [
        f"| `{f.name}` | `{f.dataType.simpleString()}` | {_cell(str(f.metadata['comment']))} |"
        for f in table.schema.fields
    ]
    return "\n".join(
        [
            f"## {table.key}",
            "",
            f"{table.description}.",
            "",
            *(f"- {name}: {value}" for name, value in facts.items()),
            "",
            "| column | type | meaning |",
            "| --- | --- | --- |",
            *columns,
            "",
        ]
    )


def _writer(table: Table) -> str:
    return next((s.name for s in STAGES if table in s.outputs), "training")


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _anchor(table: Table) -> str:
    """The heading's anchor as Markdown renderers make it: the slash goes, the rest stays."""
    return table.key.replace("/", "")


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("<", "&lt;")
