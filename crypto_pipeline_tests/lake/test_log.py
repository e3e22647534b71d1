"""What a table's log says without a JVM: our newest entry, whatever maintenance added."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from crypto_pipeline.errors import LakeError
from crypto_pipeline.lake import log
from crypto_pipeline_tests.lake.delta_log import (
    ROWS,
    compact,
    record,
    write_commit,
    write_foreign,
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "silver" / "ticks")


def test_a_table_that_is_not_there_has_no_state_and_no_commit(path: str) -> None:
    assert log.open_table(path) is None
    assert log.last_commit(path) is None


def test_a_table_that_others_wrote_has_no_commit_of_ours(path: str) -> None:
    write_foreign(path, 2)
    assert log.last_commit(path) is None


def test_what_a_commit_says_comes_back_whole(path: str) -> None:
    written = record(
        7,
        ranges={"kafka": {"topics": {"t": {"partitions": {"0": [2, 9]}}}}, "pinned": {"now": "é"}},
        outputs={"silver/ticks": [3, 1.5, None]},
    )
    write_commit(path, written)
    found = log.last_commit(path)
    assert found is not None
    assert replace(found, version=-1, rows_written=-1) == written
    assert found.version == 0


@pytest.mark.parametrize("others", [1, 6, 55])
def test_our_entry_is_found_behind_those_of_maintenance(path: str, others: int) -> None:
    write_commit(path, record(1))
    write_commit(path, record(2))
    write_foreign(path, others)
    compact(path)
    found = log.last_commit(path)
    assert found is not None
    assert found.batch == 2


def test_a_foreign_entry_that_has_metadata_of_its_own_is_passed_over(path: str) -> None:
    write_commit(path, record(3))
    for text in ("hello", '{"by": "someone"}'):
        write_deltalake(
            path,
            ROWS,
            mode="append",
            commit_properties=CommitProperties(custom_metadata={"userMetadata": text}),
        )
    found = log.last_commit(path)
    assert found is not None
    assert found.batch == 3


def test_ranges_that_log_retention_removed_are_an_error_not_a_new_start(path: str) -> None:
    write_foreign(path)
    write_deltalake(
        path,
        ROWS,
        mode="append",
        commit_properties=CommitProperties(app_transactions=[Transaction(log.app_id(path), 4)]),
    )
    with pytest.raises(LakeError, match="lost every range"):
        log.last_commit(path)


def test_the_transaction_is_named_by_layer_and_table_wherever_the_lake_is(path: str) -> None:
    assert log.app_id(path) == "silver/ticks"
    assert log.app_id("s3a://bucket/lake/silver/ticks/") == "silver/ticks"
    write_commit(path, record(5))
    assert DeltaTable(path).transaction_version("silver/ticks") == 5


def test_a_table_made_anew_has_another_id(tmp_path: Path) -> None:
    write_foreign(tmp_path / "a")
    write_foreign(tmp_path / "b")
    first, second = log.open_table(str(tmp_path / "a")), log.open_table(str(tmp_path / "b"))
    assert first is not None
    assert second is not None
    assert first.id != second.id
    assert first.columns == (("n", "bigint"),)
