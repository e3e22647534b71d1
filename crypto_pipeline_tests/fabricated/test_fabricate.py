"""A small history: deltalake opens it, stages go on from it, upkeep finds nothing to do."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from crypto_pipeline.keeping_settings import LAYER_DAYS
from crypto_pipeline.lake import log
from crypto_pipeline.lake.few_rows import few_rows, of_batches
from crypto_pipeline.lake.table import Table
from crypto_pipeline.maintenance.table_files import LOG_FOLDER, inspect_all
from crypto_pipeline.maintenance.work import CURRENT_FILES, PAST_FILES, Limits, due
from crypto_pipeline.plan import next_plan
from crypto_pipeline.stage import Stage
from crypto_pipeline.stages import RAW, STAGES, TABLES
from crypto_pipeline.stream.ranges import Span, TopicEnds
from crypto_pipeline_tests.fabricated.columns import schema_of
from crypto_pipeline_tests.fabricated.describe import describe
from crypto_pipeline_tests.fabricated.fabricate import fabricate
from crypto_pipeline_tests.fabricated.history import History, no_topics
from crypto_pipeline_tests.fabricated.shapes import EMPTY, is_replaced, shapes

# Forty minutes after midnight: the date before is past, and compact.
NOW = datetime(2026, 11, 26, 0, 40, 30, tzinfo=UTC)
MINUTES = 80
SYMBOLS = 2
FILLED = [table for stage in STAGES for table in stage.outputs if table not in EMPTY]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("laid") / "lake"


@pytest.fixture(scope="module")
def laid(root: Path) -> History:
    return fabricate(root, minutes=MINUTES, symbols=SYMBOLS, ends=no_topics(), now=NOW)


def entries_of(root: Path, key: str) -> list[Path]:
    return sorted((root / key / LOG_FOLDER).glob("*.json"))


@pytest.mark.parametrize("table", FILLED, ids=lambda table: table.key)
def test_a_table_has_its_rows_types_and_number(root: Path, laid: History, table: Table) -> None:
    opened = DeltaTable(str(root / table.key))
    rows = opened.to_pyarrow_table()
    shape = next(shape for shape in shapes(laid) if shape.table == table)
    first = MINUTES if is_replaced(table) else 1
    wanted = sum(shape.rows_of(number) for number in range(first, MINUTES + 1))
    assert rows.num_rows == log.row_count(str(root / table.key)) == wanted
    assert pa.schema(opened.schema().to_arrow()).names == schema_of(table).names
    assert opened.metadata().partition_columns == list(table.partition_by)
    assert opened.transaction_version(table.key) == MINUTES
    newest = few_rows(str(root / table.key), table, where=of_batches(after=MINUTES - 1, to=MINUTES))
    assert newest is not None
    assert newest.num_rows == shape.rows_of(MINUTES)


def test_a_table_without_rows_is_there(root: Path, laid: History) -> None:
    for table in EMPTY:
        assert DeltaTable(str(root / table.key)).to_pyarrow_table().num_rows == 0
        assert log.last_commit(str(root / table.key)) is None


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_goes_on_after_the_last_minute(root: Path, laid: History, stage: Stage) -> None:
    path = {table.key: str(root / table.key) for s in STAGES for table in s.outputs}
    last = log.last_commit(path[stage.primary.key])
    assert last is not None
    assert last.batch == MINUTES
    assert next_plan(stage, path=path, ends=laid.ends if stage is RAW else None) is None


def test_raw_takes_exactly_what_came_after(root: Path, laid: History) -> None:
    path = {table.key: str(root / table.key) for table in RAW.outputs}
    plan = next_plan(RAW, path=path, ends=moved(laid.ends, by=5))
    assert plan is not None
    assert plan.batch == MINUTES + 1
    assert (plan.ranges["kafka"]["lost"], plan.ranges["kafka"]["left"]) == (0, 0)
    for topic in plan.ranges["kafka"]["topics"].values():
        assert set(map(tuple, topic["partitions"].values())) == {(0, 5)}


def moved(ends: TopicEnds, *, by: int) -> TopicEnds:
    topics = {
        name: replace(of, partitions={n: Span(s.beginning, s.end + by)
                                      for n, s in of.partitions.items()})
        for name, of in ends.topics.items()
    }  # fmt: skip
    return replace(ends, topics=topics)


def test_upkeep_finds_nothing_to_do(root: Path, laid: History) -> None:
    tables = list(inspect_all(str(root), TABLES))
    assert {files.vacuumed_on for files in tables} == {NOW.date()}
    assert due(tables, now=NOW, limits=Limits(days=LAYER_DAYS)) == ()


def test_files_are_as_few_as_upkeep_leaves(root: Path, laid: History) -> None:
    for files in inspect_all(str(root), TABLES):
        for day, count in files.by_date().items():
            is_past = day is not None and day < NOW.date()
            assert count <= (PAST_FILES if is_past else CURRENT_FILES)
    ticks = describe(root, today=NOW.date(), opened=1)["silver/ticks"]
    assert (ticks.past_files, ticks.now_files) == (1, 12)


def test_the_log_has_a_checkpoint_each_fifty_versions(root: Path, laid: History) -> None:
    for table in FILLED:
        log_folder = root / table.key / LOG_FOLDER
        found = {int(f.name[:20]) for f in log_folder.glob("*.checkpoint.parquet")}
        version = DeltaTable(str(root / table.key)).version()
        assert found == set(range(50, version + 1, 50))
        last = json.loads((log_folder / "_last_checkpoint").read_text())
        assert last["version"] == max(found)
        assert len(entries_of(root, table.key)) == version + 1


def test_what_is_read_from_a_checkpoint_is_what_the_versions_say(
    root: Path, laid: History, tmp_path: Path
) -> None:
    """Without its checkpoints a table is read version by version."""
    for key in ("raw/records", "gold/market_summary"):
        with_it = DeltaTable(str(root / key))
        bare = tmp_path / key
        (bare / LOG_FOLDER).mkdir(parents=True)
        for entry in entries_of(root, key):
            (bare / LOG_FOLDER / entry.name).write_bytes(entry.read_bytes())
        without = DeltaTable(str(bare))
        assert with_it.file_uris()
        assert sorted(map(name_of, with_it.file_uris())) == sorted(
            map(name_of, without.file_uris())
        )


def name_of(uri: str) -> str:
    return uri.rsplit("/", 1)[-1]


def test_history_tells_when_it_was_written(root: Path, laid: History) -> None:
    newest = DeltaTable(str(root / "gold/volatility")).history(1)[0]
    at = datetime.fromtimestamp(newest["timestamp"] / 1000, UTC)
    assert 0 < (at - NOW.replace(second=0)).total_seconds() < 60
    created = entries_of(root, "gold/volatility")[0]
    made = datetime.fromtimestamp(created.stat().st_mtime, UTC)
    assert made.date() == date(2026, 11, 25)
