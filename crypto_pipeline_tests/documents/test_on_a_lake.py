"""The documented commands and queries, on a lake that `once` has filled.

A broker and a simulator of its own; Spark is the one of all tests, found by its port as that of a
stack that runs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

from crypto_pipeline.cli import cli
from crypto_pipeline.embedded import up_lock
from crypto_pipeline.embedded.running import services
from crypto_pipeline.settings import Settings, spark_token
from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.documents import examples, pages

pytestmark = [pytest.mark.spark, pytest.mark.integration, pytest.mark.timeout(600)]

SYMBOLS = ("BTC-USDT", "ETH-USDT")
BOOKS = (ROOT / "docs" / "books.md").read_text()
ANALYST = (ROOT / "docs" / "analyst.md").read_text()
QUERIES = [block.text for block in pages.blocks(ANALYST) if block.kind == "python"]


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A folder in which broker and simulator run, and what `once` said in it."""

    settings: Settings
    once: Result

    def run(self, *words: str, **environment: str) -> Result:
        return run(self.settings, *words, **environment)


def run(settings: Settings, *words: str, **environment: str) -> Result:
    token = settings.spark_token_setting
    assert token is not None
    given = {**settings.environment(), "SPARK_CONNECT_TOKEN": token.reveal(), **environment}
    return CliRunner(env={"COLUMNS": "200", **given}).invoke(cli, words)


@pytest.fixture(scope="module")
def stack(servers: Settings, make_settings: Callable[..., Settings]) -> Iterator[Stack]:
    settings = make_settings(
        SPARK_PORT=str(servers.spark_port),
        SPARK_CONNECT_TOKEN=spark_token(servers).reveal(),
        HISTORY_HOURS="2",
        SYMBOLS=",".join(SYMBOLS),
    )
    with ExitStack() as running:
        running.enter_context(services(settings, ["broker", "simulator"]))
        # As beside `make up`: what runs already is used.
        running.enter_context(up_lock.hold(settings))
        yield Stack(settings=settings, once=run(settings, "once"))


def test_once_prints_a_balanced_cycle(stack: Stack) -> None:
    assert stack.once.exit_code == 0, stack.once.output
    assert "books balanced: True" in stack.once.output
    for words in ("raw", "predictions", *SYMBOLS):
        assert words in stack.once.output


def test_status_shows_each_layer(stack: Stack) -> None:
    shown = stack.run("status")
    assert shown.exit_code == 1, "Dagster and the dashboard do not run here"
    for words in ("bronze", "market.ticks", "Spool: 0 polls", "Rejected rows in the lake: 0"):
        assert words in shown.output


def test_audit_finds_no_difference(stack: Stack) -> None:
    found = stack.run("audit")
    assert found.exit_code == 0, found.output
    assert "no difference" in found.output
    shown, printed = examples.after(BOOKS, "crypto-pipeline audit"), found.output
    (heading, *stages), (own_heading, *own_stages) = map(examples.rows, (shown, printed))
    assert own_heading == heading
    assert [row[0] for row in own_stages if row[0]] == [row[0] for row in stages if row[0]]
    assert last_form(printed) == last_form(shown)


def last_form(text: str) -> str:
    return examples.form(text.strip().splitlines()[-1])


def test_trace_ends_at_the_venues_bytes(stack: Stack) -> None:
    candles = DeltaTable(f"{stack.settings.lake_root}/gold/candles_1m").to_pyarrow_table()
    (row, *_) = [one for one in candles.to_pylist() if one["symbol"] == SYMBOLS[0]]
    shown = stack.run("trace", SYMBOLS[0], f"{row['minute_at']:%Y-%m-%dT%H:%M}Z")
    assert shown.exit_code == 0, shown.output
    assert re.search(r"raw/records .*offsets", shown.output)
    assert '"symbol":"BTC-USDT"' in shown.output.replace(" ", "")
    chain = examples.links(examples.after(BOOKS, "crypto-pipeline trace"))
    assert examples.links(shown.output) == chain


def test_nothing_is_held_and_nothing_waits_for_a_replay(stack: Stack) -> None:
    assert "No source is held back from gold." in stack.run("release").output
    assert stack.run("release", "kraken").exit_code == 1
    replayed = stack.run("replay", "rejected", "--reason", "bad_symbol", "--source", "kraken")
    assert replayed.exit_code == 0, replayed.output
    assert "No rejected row fits." in replayed.output


def test_adopt_topic_changes_nothing_of_the_same_topics(stack: Stack) -> None:
    said = stack.run("adopt-topic")
    assert said.exit_code == 0, said.output
    assert "Nothing was changed." in said.output


def test_rebuild_finds_gold_equal(stack: Stack) -> None:
    said = stack.run("rebuild", "gold")
    assert said.exit_code == 0, said.output
    assert "3 tables rebuilt, all equal." in said.output
    shown = map(examples.form, examples.after(BOOKS, "crypto-pipeline rebuild").splitlines())
    assert set(map(examples.form, said.output.splitlines())) <= set(shown)


def test_a_backup_is_restored_elsewhere(
    stack: Stack, tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    made = stack.run("backup", str(tmp_path / "backup"))
    assert made.exit_code == 0, made.output
    refused = stack.run("restore", str(tmp_path / "backup"))
    assert refused.exit_code == 2, "make up runs in this folder"
    other = make_settings(SPARK_CONNECT_TOKEN="not asked")
    assert run(other, "restore", str(tmp_path / "backup")).exit_code == 0
    paths = [f"{s.lake_root}/gold/candles_1m" for s in (stack.settings, other)]
    assert_frame_equal(*map(pl.read_delta, paths), check_row_order=False)


@pytest.mark.parametrize("number", range(5))
def test_duckdb_and_polars_give_the_analyst_the_same(
    stack: Stack, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(QUERIES) == 10
    (tmp_path / ".crypto-pipeline").symlink_to(stack.settings.state_dir)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "TZ", "UTC")
    first, second = (answer(text) for text in QUERIES[2 * number : 2 * number + 2])
    assert first.height > 0
    assert_frame_equal(first, second, check_dtypes=False, rel_tol=1e-9)


def answer(query: str) -> pl.DataFrame:
    names: dict[str, Any] = {}
    exec(compile(query, "docs/analyst.md", "exec"), names)
    found = names["answer"]
    assert isinstance(found, pl.DataFrame)
    return found
