"""What a writer makes of a conflict: its own work whose answer was lost, or another's."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from pyspark.errors import PySparkException

from crypto_pipeline.lake.commit import SupersededError, Write, commit
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline_tests.lake.delta_log import record, write_commit, write_foreign

CONFLICT = "[DELTA_CONCURRENT_TRANSACTION] a concurrent transaction has written the same number"


@dataclass
class Rows:
    """Rows whose write puts an entry into the log and then fails with `words`."""

    entry: CommitRecord
    words: str = CONFLICT

    @property
    def write(self) -> Self:
        return self

    def coalesce(self, _: int) -> Self:
        return self

    def format(self, _: str) -> Self:
        return self

    def mode(self, _: str) -> Self:
        return self

    def options(self, **_: str) -> Self:
        return self

    def save(self, path: str) -> None:
        write_commit(path, self.entry)
        raise PySparkException(self.words)


def write(path: Path, rows: Any) -> Write:
    return Write(path=str(path / "raw" / "records"), rows=rows, row_count=3)


def test_a_commit_whose_answer_was_lost_is_known_by_its_write_id(tmp_path: Path) -> None:
    """The client asks the store once more by itself and is told that the entry is there."""
    mine = record(1, write_id="mine")
    assert commit(write(tmp_path, Rows(mine)), mine).write_id == "mine"


def test_another_ones_commit_is_not_taken_for_ours(tmp_path: Path) -> None:
    rows = Rows(record(1, write_id="another"))
    with pytest.raises(SupersededError, match="another run") as caught:
        commit(write(tmp_path, rows), record(1, write_id="mine"))
    assert isinstance(caught.value.__cause__, PySparkException)


def test_what_is_no_conflict_is_said_as_it_is(tmp_path: Path) -> None:
    mine = record(1, write_id="mine")
    with pytest.raises(PySparkException, match="disk is full"):
        commit(write(tmp_path, Rows(mine, "the disk is full")), mine)


@dataclass
class Session:
    """A session whose CREATE TABLE makes the table, or does not, and fails either way."""

    table: Path | None

    def sql(self, _: str) -> None:
        if self.table is not None:
            write_foreign(self.table)
        raise PySparkException("[DELTA_PROTOCOL_CHANGED] another writer has made the table")


@pytest.mark.parametrize("is_made", [True, False])
def test_a_table_that_was_made_while_the_answer_was_lost_is_there(
    tmp_path: Path, is_made: bool
) -> None:
    table = tmp_path / RECORDS.key
    session: Any = Session(table if is_made else None)
    lake = Lake(spark=session, root=str(tmp_path), market="simulated")
    with nullcontext() if is_made else pytest.raises(PySparkException, match="another writer"):
        lake.ensure(RECORDS)
    assert table.exists() == is_made
