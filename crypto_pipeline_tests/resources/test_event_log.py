"""Dagster's history as `up` keeps it: Dagster's own files, compiled once and kept open."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType

import dagster as dg
import pytest
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from dagster._daemon.run_coordinator import QueuedRunCoordinatorDaemon

from crypto_pipeline.embedded import dagster_home
from crypto_pipeline.resources import event_log
from crypto_pipeline.settings import Settings


@dg.asset
def one() -> None:
    """An asset, so that its events are in the index too."""


@pytest.fixture
def home(make_settings: Callable[..., Settings]) -> Path:
    settings = make_settings()
    dagster_home.prepare(settings)
    return dagster_home.folder(settings)


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as made:
        yield made


def messages(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    return [entry.user_message for entry in instance.all_logs(run_id)]


def test_what_one_has_written_the_other_reads(home: Path) -> None:
    """A folder that Dagster's default began goes on, and goes back."""
    own = home / "dagster.yaml"
    ours = own.read_text()
    told: dict[str, list[str]] = {}
    for text in ("", ours, ""):
        own.write_text(text)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            for run_id, before in told.items():
                assert messages(instance, run_id) == before
            assert len(instance.fetch_materializations(one.key, limit=10).records) == len(told)
            done = dg.materialize([one], instance=instance)
            told[done.run_id] = messages(instance, done.run_id)
    assert min(len(events) for events in told.values()) > 5


def count_engines(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> list[str]:
    """The names of the files for which these modules make an engine from here on."""
    made: list[str] = []

    def counting(make: Callable[..., object]) -> Callable[..., object]:
        def counted(url: str, **options: object) -> object:
            made.append(Path(url).stem)
            return make(url, **options)

        return counted

    for module in modules:
        monkeypatch.setattr(module, "create_engine", counting(module.create_engine))
    return made


def test_each_file_has_one_engine_however_many_the_events(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = count_engines(monkeypatch, event_log)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        run_id = dg.materialize([one], instance=instance).run_id
    assert sorted(made) == sorted([run_id, "index", "runs", "schedules"])


def test_an_instance_opens_each_file_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = count_engines(monkeypatch, sqlite_run_storage, sqlite_schedule_storage)
    with dg.DagsterInstance.from_config(str(home)):
        assert sorted(opened) == ["runs", "schedules"]


def test_files_stay_open_between_events_and_are_closed_at_the_end(home: Path) -> None:
    history = home / "history"
    with dg.DagsterInstance.from_config(str(home)) as made:
        dg.materialize([one], instance=made)
        open_logs = {path.name for path in history.rglob("*-wal")}
        assert {"index.db-wal", "runs.db-wal"} < open_logs
    # Dagster never disposes of its ticks: theirs is closed with the process.
    assert not list(history.rglob("*-wal"))


def test_a_fork_opens_files_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    engines = event_log.Engines()
    parents = engines.of("sqlite:////tmp/never-opened.db")
    assert engines.of("sqlite:////tmp/never-opened.db") is parents
    monkeypatch.setattr("os.getpid", lambda: 1)
    assert engines.of("sqlite:////tmp/never-opened.db") is not parents


def test_the_many_empty_tables_of_a_run_take_small_pages(instance: dg.DagsterInstance) -> None:
    done = dg.materialize([one], instance=instance)
    file = Path(instance.root_directory, "history", "runs", f"{done.run_id}.db")
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA page_size").fetchone() == (event_log.PAGE_BYTES,)


def test_engines_of_old_runs_are_let_go(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    assert isinstance(storage, event_log.KeptEvents)
    for number in range(event_log.ENGINES + 2):
        assert storage.get_logs_for_run(f"run-{number}") == []
    assert len(storage.engines._kept) == event_log.ENGINES


def test_the_queue_is_looked_at_after_each_sleep_of_the_daemon(
    instance: dg.DagsterInstance,
) -> None:
    queue = instance.run_coordinator
    assert isinstance(queue, QueuedRunCoordinator)
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=queue.dequeue_interval_seconds)
    assert daemon.interval_seconds < 0.5
    assert instance.global_op_concurrency_default_limit == 1
