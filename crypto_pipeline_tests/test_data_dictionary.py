"""The data dictionary is the schemas' own words, and the page in docs is up to date."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from pyspark.sql.types import StructType

from crypto_pipeline import data_dictionary
from crypto_pipeline.cli import cli
from crypto_pipeline.lake.table import BATCH, Table, text
from crypto_pipeline.stages import TABLES
from crypto_pipeline_tests.conftest import ROOT

PAGE = ROOT / "docs" / "data-dictionary.md"


def test_the_page_in_docs_is_what_the_schemas_say() -> None:
    assert PAGE.read_text() == data_dictionary.page(), (
        "run `crypto-pipeline dictionary --write` and commit docs/data-dictionary.md"
    )


def test_the_readme_leads_to_it() -> None:
    assert "](docs/data-dictionary.md)" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.key)
def test_every_column_has_its_line_with_type_and_meaning(table: Table) -> None:
    section = data_dictionary.page([table]).split(f"## {table.key}\n")[1]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    assert len(lines) == len(table.columns)
    for line, f in zip(lines, table.schema.fields, strict=True):
        assert line.startswith(f"| `{f.name}` | `{f.dataType.simpleString()}` | ")
        assert len(line.split(" | ")[2]) > 2, f"{table.key}.{f.name} says nothing of itself"


def test_a_bar_in_a_comment_does_not_break_the_row() -> None:
    table = replace(TABLES[0], schema=StructType([text("a", "key|value of <x>"), BATCH]))
    assert "| key\\|value of &lt;x> |" in data_dictionary.page([table])


def test_the_command_prints_or_writes_it(tmp_path: Path) -> None:
    shown = CliRunner().invoke(cli, ["dictionary"])
    assert shown.exit_code == 0
    assert shown.output == data_dictionary.page()
    file = tmp_path / "page.md"
    assert CliRunner().invoke(cli, ["dictionary", "--write", "--file", str(file)]).exit_code == 0
    assert file.read_text() == data_dictionary.page()
