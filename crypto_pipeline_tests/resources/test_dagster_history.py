"""Dagster's history on real SQLite files: what is pruned, what stays, how large it gets."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickStatus

from crypto_pipeline.definitions import defs
from crypto_pipeline.resources.dagster_history import History
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.maintenance.month import BOUND_BYTES_A_MINUTE
from crypto_pipeline_tests.resources.minutes import Minutes, opened, start

DAY = timedelta(days=1)
KEPT_DAYS = 1
# docs/storage.md says so, of a month at the default and pruned hourly.
BOUND_BYTES = 1_000_000_000


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Minutes:
    """A minute's two jobs, run for real."""
    home = tmp_path_factory.mktemp("dagster")
    with opened(home) as instance:
        return start(home, instance)


@pytest.fixture
def minutes(ran: Minutes, tmp_path: Path) -> Minutes:
    """A copy of it, to add to and to prune."""
    home = tmp_path / "dagster"
    shutil.copytree(ran.home, home)
    return Minutes(home=home, templates=ran.templates)


@pytest.fixture
def instance(minutes: Minutes) -> Iterator[dg.DagsterInstance]:
    with opened(minutes.home) as made:
        yield made


@cache
def asset_graph() -> Any:
    return defs().get_repository_def().asset_graph


def newest(instance: dg.DagsterInstance) -> dict[str, object]:
    """The last materialisation of each asset and the last result of each check."""
    graph = asset_graph()
    seen: dict[str, object] = {}
    for key in graph.materializable_asset_keys:
        event = instance.get_latest_materialization_event(key)
        seen[key.to_user_string()] = None if event is None else (event.run_id, event.timestamp)
    for check in graph.asset_check_keys:
        records = instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
        seen[str(check)] = records[0].run_id if records else None
    return seen


def test_old_runs_go_with_all_that_is_theirs_and_new_ones_stay(
    minutes: Minutes, instance: dg.DagsterInstance
) -> None:
    now = datetime.now(UTC)
    minutes.add(now - 5 * DAY, 30)
    minutes.add(now - DAY / 2, 20)
    before = newest(instance)

    pruned = History(instance).prune(before=now - KEPT_DAYS * DAY)

    assert (pruned.runs, pruned.is_finished) == (60, True)
    assert newest(instance) == before
    assert instance.get_runs_count() == minutes.run_files() == 42
    alive = {run.run_id for run in instance.get_runs()}
    for file, table in (
        ("runs.db", "run_tags"),
        ("runs/index.db", "event_logs"),
        ("runs/index.db", "asset_check_executions"),
    ):
        with closing(sqlite3.connect(minutes.home / "history" / file)) as connection:
            found = {row[0] for row in connection.execute(f"SELECT run_id FROM {table}")}
        assert found <= alive, table
    assert History(instance).prune(before=now - KEPT_DAYS * DAY).runs == 0


def test_the_last_word_about_an_asset_stays_however_old_it_is(
    minutes: Minutes, instance: dg.DagsterInstance
) -> None:
    minutes.add(datetime.now(UTC) - 60 * DAY, 10)
    before = newest(instance)
    assert any(before.values())

    pruned = History(instance).prune(before=datetime.now(UTC) + DAY)

    assert pruned.runs == 20, "all but the newest ingestion and the newest cycle"
    assert newest(instance) == before


def test_a_run_that_is_not_finished_stays(minutes: Minutes, instance: dg.DagsterInstance) -> None:
    minutes.add(datetime.now(UTC) - 60 * DAY, 3)
    with closing(sqlite3.connect(minutes.home / "history" / "runs.db")) as connection:
        connection.execute("UPDATE runs SET status = 'STARTED'")
        connection.commit()
    assert History(instance).prune(before=datetime.now(UTC) + DAY).runs == 0


def test_the_last_run_of_each_day_of_a_partitioned_asset_stays(
    minutes: Minutes, instance: dg.DagsterInstance
) -> None:
    @dg.asset(partitions_def=dg.DailyPartitionsDefinition("2026-01-01"))
    def day() -> None: ...

    for name in ("2026-01-01", "2026-01-01", "2026-01-02"):
        dg.materialize([day], instance=instance, partition_key=name)
    before = instance.get_materialized_partitions(day.key)
    assert len(before) == 2

    assert History(instance).prune(before=datetime.now(UTC) + DAY).runs == 1
    assert instance.get_materialized_partitions(day.key) == before


def test_pruning_stops_when_its_time_is_over_and_goes_on_later(
    minutes: Minutes, instance: dg.DagsterInstance
) -> None:
    minutes.add(datetime.now(UTC) - 60 * DAY, 60)
    cut = History(instance).prune(before=datetime.now(UTC) - DAY, seconds=-1.0)
    assert (cut.runs, cut.is_finished) == (0, False)
    rest = History(instance).prune(before=datetime.now(UTC) - DAY)
    # The newest of each job stay: nothing later speaks of their assets.
    assert (rest.runs, rest.is_finished) == (118, True)


def test_ticks_go_by_themselves_after_two_weeks_at_most(tmp_path: Path) -> None:
    shutil.copyfile(ROOT / "deploy" / "dagster.yaml", tmp_path / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        for kind in (InstigatorType.SCHEDULE, InstigatorType.SENSOR):
            days = made.get_tick_retention_settings(kind)
            assert {status: 0 < n <= 14 for status, n in days.items()} == dict.fromkeys(
                TickStatus, True
            ), kind


def test_a_minute_takes_no_more_than_the_arithmetic_of_a_month_says(minutes: Minutes) -> None:
    before, count = minutes.bytes(), 40
    minutes.add(datetime.now(UTC), count)
    assert (minutes.bytes() - before) / count < BOUND_BYTES_A_MINUTE


@pytest.mark.prove
@pytest.mark.timeout(7_200)
def test_a_month_of_minutes_keeps_the_database_under_its_bound(
    minutes: Minutes, instance: dg.DagsterInstance
) -> None:
    """Reduced: 60 minutes, pruned daily; full: 43,200, pruned hourly; over 30 days either way."""
    proved = proof.begin("dagster-history", reduced=60, full=43_200)
    now = datetime.now(UTC)
    turns = min(30 * 24, proved.count // 2)
    each, step = proved.count // turns, 30 * DAY / turns
    largest = slowest = 0.0
    for turn in range(turns):
        at = now - 30 * DAY + turn * step
        minutes.add(at, each)
        largest = max(largest, minutes.bytes())
        pruned = History(instance).prune(before=at + step - KEPT_DAYS * DAY, seconds=120)
        assert pruned.is_finished
        slowest = max(slowest, pruned.seconds)

    kept = each * round(KEPT_DAYS * DAY / step)
    assert 2 * kept <= instance.get_runs_count() <= 2 * (kept + each) + 2
    bound = BOUND_BYTES_A_MINUTE * (kept + 2 * each) + 8_000_000
    assert largest < bound < BOUND_BYTES
    assert all(newest(instance)[f"raw/{name}"] for name in ("records",))
    proved.record(
        runs_made=2 * proved.count,
        runs_kept=instance.get_runs_count(),
        largest_bytes=int(largest),
        bytes_a_minute_kept=int(largest / (kept + each)),
        bound_bytes=bound,
        slowest_pruning_seconds=round(slowest, 2),
    )
