"""Maintenance on real tables: fewer files, the same rows, the same range, old things gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from crypto_pipeline.errors import LakeError
from crypto_pipeline.gold.schema import CANDLES_1M
from crypto_pipeline.lake import log
from crypto_pipeline.lake.removed import removed_before
from crypto_pipeline.lake.table import Table
from crypto_pipeline.maintenance import work as work_module
from crypto_pipeline.maintenance.bite import Bite
from crypto_pipeline.maintenance.perform import Done, check_rows, perform
from crypto_pipeline.maintenance.table_files import TableFiles, inspect
from crypto_pipeline.maintenance.work import Limits, due, removal
from crypto_pipeline.silver.schema import SET_ASIDE, TICKS
from crypto_pipeline_tests.maintenance.tables import (
    NOW,
    TODAY,
    age,
    commit_minutes,
    entries,
    rows_of,
)

if TYPE_CHECKING:
    from crypto_pipeline.lake.location import Lake

pytestmark = pytest.mark.spark

DAY = timedelta(days=1)


def look(lake: Lake, table: Table) -> TableFiles:
    found = inspect(lake.path(table), table)
    assert found is not None
    return found


def do_all(lake: Lake, table: Table, *, kind: work_module.Kind, limits: Limits) -> list[Done]:
    works = due([look(lake, table)], now=NOW, limits=limits)
    bite = Bite(
        perform=lambda work, *, seconds: perform(lake, work, now=NOW, seconds=seconds),
        is_wanted=lambda: False,
        seconds=280,
    )
    done, left = bite.take(works, kind)
    assert left == 0
    return done


def test_compaction_leaves_every_row_of_every_batch_and_the_range(lake: Lake) -> None:
    commit_minutes(lake, TICKS, [TODAY - DAY] * 6 + [TODAY] * 35)
    path = lake.path(TICKS)
    rows, before = rows_of(path), log.last_commit(path)
    part = {"after": 20, "to": 40}
    increment = lake.increment(TICKS, **part).count()
    size = "spark.databricks.delta.optimize.minFileSize"
    was = lake.spark.conf.get(size)

    done = do_all(lake, TICKS, kind="compact", limits=Limits())

    assert [one.is_cut for one in done] == [False] * 2
    assert look(lake, TICKS).by_date() == {TODAY - DAY: 1, TODAY: 1}
    assert rows_of(path) == rows
    assert log.last_commit(path) == before
    assert lake.increment(TICKS, **part).count() == increment == 40
    assert "compact" not in {w.kind for w in due([look(lake, TICKS)], now=NOW, limits=Limits())}
    assert lake.spark.conf.get(size) == was, "the session is the stages' too"


def test_a_bite_without_time_changes_nothing_and_a_lost_row_is_an_error(lake: Lake) -> None:
    commit_minutes(lake, SET_ASIDE, [TODAY - DAY] * 6)
    (work,) = (w for w in due([look(lake, SET_ASIDE)], now=NOW, limits=Limits()) if w.is_past)

    cut = perform(lake, work, now=NOW, seconds=0.0)

    assert cut.is_cut
    assert cut.files_after == cut.files_before == 6
    done = perform(lake, work, now=NOW, seconds=60.0)
    assert (done.is_cut, done.files_after) == (False, 1)

    before = look(lake, SET_ASIDE)
    lake.spark.sql(f"DELETE FROM delta.`{lake.path(SET_ASIDE)}` WHERE batch = 1").collect()
    with pytest.raises(LakeError, match=r"number of rows of silver/set_aside"):
        check_rows(before, look(lake, SET_ASIDE))


def set_properties(lake: Lake, table: Table, **properties: str) -> None:
    """A commit of maintenance: it carries no metadata of ours."""
    pairs = ", ".join(f"'{name}' = '{value}'" for name, value in properties.items())
    target = f"delta.`{lake.path(table)}`"
    lake.spark.sql(f"ALTER TABLE {target} SET TBLPROPERTIES ({pairs})").collect()


def old_table(lake: Lake) -> str:
    """Three commits of ours and a checkpoint, all ten days old: beyond what the log keeps."""
    commit_minutes(lake, SET_ASIDE, [TODAY - 10 * DAY] * 3)
    set_properties(lake, SET_ASIDE, **{"delta.checkpointInterval": "2"})
    age(lake.path(SET_ASIDE), days=10)
    return lake.path(SET_ASIDE)


def test_a_range_committed_again_outlives_the_log_that_had_it(lake: Lake) -> None:
    """Delta cleans the log up at its next checkpoint; only our newer entry is left."""
    path = old_table(lake)
    before = look(lake, SET_ASIDE)
    assert before.committed is not None
    # The log's clock is the real one; only ages matter.
    works = due([before], now=datetime.now(UTC) + 2 * DAY, limits=Limits())
    assert works[0].kind == "recommit"

    perform(lake, works[0], now=NOW, seconds=60.0)
    perform(lake, works[0], now=NOW, seconds=60.0)
    set_properties(lake, SET_ASIDE, n="1")

    ours = [entry["userMetadata"] for entry in entries(path) if "userMetadata" in entry]
    assert ["again" in text for text in ours] == [True], "asked for twice it is there once"
    after = look(lake, SET_ASIDE)
    assert after.committed is not None
    assert replace(after.committed, version=0, rows_written=0) == replace(
        before.committed, version=0, rows_written=0
    )
    assert after.rows == before.rows


def test_without_it_the_range_would_be_lost(lake: Lake) -> None:
    path = old_table(lake)
    for n in "12":
        set_properties(lake, SET_ASIDE, n=n)
    with pytest.raises(LakeError, match="lost every range"):
        log.last_commit(path)


def test_old_dates_are_removed_whole_and_the_range_stays(lake: Lake) -> None:
    commit_minutes(lake, CANDLES_1M, [TODAY - 9 * DAY, TODAY - 8 * DAY, TODAY - 7 * DAY, TODAY])
    path = lake.path(CANDLES_1M)
    before = log.last_commit(path)
    limits = Limits(days={"gold": 7})
    assert not any(
        w.kind == "retain" for w in due([look(lake, CANDLES_1M)], now=NOW, limits=limits)
    )

    work = removal(look(lake, CANDLES_1M), [TODAY - 9 * DAY, TODAY - 8 * DAY])
    perform(lake, work, now=NOW, seconds=60.0)

    assert {row["date"] for row in rows_of(path)} == {TODAY - 7 * DAY, TODAY}
    assert log.last_commit(path) == before


def test_a_table_says_from_which_date_on_nothing_was_removed(lake: Lake) -> None:
    commit_minutes(lake, CANDLES_1M, [TODAY - n * DAY for n in (9, 8, 7, 0)])
    assert removed_before(look(lake, CANDLES_1M).properties) is None

    def remove(day: date) -> date | None:
        perform(lake, removal(look(lake, CANDLES_1M), [day]), now=NOW, seconds=60.0)
        return removed_before(look(lake, CANDLES_1M).properties)

    assert remove(TODAY - 8 * DAY) == TODAY - 7 * DAY
    assert remove(TODAY - 9 * DAY) == TODAY - 7 * DAY, "what is older does not bring it back"


def test_vacuum_removes_what_is_dead_and_old_enough_once_a_day(lake: Lake) -> None:
    commit_minutes(lake, CANDLES_1M, [TODAY - DAY] * 6)
    do_all(lake, CANDLES_1M, kind="compact", limits=Limits())
    assert data_files(lake) == 7
    age(lake.path(CANDLES_1M), days=1.5)
    do_all(lake, CANDLES_1M, kind="vacuum", limits=Limits())
    assert data_files(lake) == 7, "dead files younger than the retention are somebody's still"
    assert not any(
        w.kind == "vacuum" for w in due([look(lake, CANDLES_1M)], now=NOW, limits=Limits())
    )

    # A dead file's age counts from the commit that removed it, which only time makes older.
    set_properties(lake, CANDLES_1M, **{"delta.deletedFileRetentionDuration": "interval 1 seconds"})
    age(lake.path(CANDLES_1M), days=3)
    rows = rows_of(lake.path(CANDLES_1M))
    works = due([look(lake, CANDLES_1M)], now=NOW + DAY, limits=Limits())
    (vacuum,) = (w for w in works if w.kind == "vacuum")
    perform(lake, vacuum, now=NOW + DAY, seconds=60.0)

    assert data_files(lake) == 1
    assert rows_of(lake.path(CANDLES_1M)) == rows


def data_files(lake: Lake) -> int:
    from pathlib import Path

    return sum(1 for _ in Path(lake.path(CANDLES_1M)).glob("date=*/*.parquet"))
