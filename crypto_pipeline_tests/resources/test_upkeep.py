"""Upkeep and alerts as Dagster runs them: jobs with their resources, sensors on real logs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from crypto_pipeline import automation
from crypto_pipeline.definitions import defs
from crypto_pipeline.errors import LakeError
from crypto_pipeline.gold.schema import MARKET_SUMMARY
from crypto_pipeline.lake.writer_lock import NAME, take
from crypto_pipeline.maintenance.bite import BITE_SECONDS
from crypto_pipeline.maintenance.lake_upkeep import Counted
from crypto_pipeline.maintenance.work import Kind
from crypto_pipeline.resources import upkeep
from crypto_pipeline.resources.upkeep import UpkeepResource
from crypto_pipeline_tests.alerting.servers import webhook
from crypto_pipeline_tests.lake.delta_log import make_table, record, write_commit


class Stub:
    """Stands for the lake: remembers what was asked for, in order."""

    def __init__(self) -> None:
        self.asked: list[Kind] = []

    def take(self, kind: Kind) -> tuple[list[Any], int]:
        self.asked.append(kind)
        return [], 2

    def count(self) -> list[Counted]:
        return [
            Counted(
                key="gold/candles_1m", files=70, bytes=7, most_of_a_past_date=3, most_of_now=61,
                log_objects=9, log_days=1.0,
            )
        ]  # fmt: skip


STUB = Stub()


class FakeUpkeep(UpkeepResource):
    @property
    def _upkeep(self) -> Any:
        return STUB


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


@pytest.fixture
def lake_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings of the process, as a code server has them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MARKET", "simulated")
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state" / "simulated" / "lake"


def test_a_bite_goes_through_all_kinds_and_counts_files(instance: dg.DagsterInstance) -> None:
    job = defs().resolve_job_def("lake_upkeep")
    done = job.execute_in_process(instance=instance, resources={"upkeep": FakeUpkeep()})
    assert done.success
    assert STUB.asked == ["recommit", "compact", "retain", "vacuum"]
    metadata = {
        event.materialization.asset_key.path[-1]: event.materialization.metadata
        for event in done.get_asset_materialization_events()
    }
    assert metadata["compaction"]["left"].value == 2
    assert metadata["table_files"]["live_files"].value == 70
    checks = {one.check_name: one.passed for one in done.get_asset_check_evaluations()}
    assert checks == {
        "past_dates_are_compact": True,
        "now_is_compact": False,
        "logs_are_bounded": True,
    }


@pytest.mark.parametrize("is_waiting", [False, True])
def test_a_bite_can_ask_whether_a_cycle_waits(
    *,
    is_waiting: bool,
    instance: dg.DagsterInstance,
    lake_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every bite with something to do failed at this question."""
    told: list[bool] = []

    class Asking(Stub):
        lake = SimpleNamespace(spark=None)

        def __init__(self, is_wanted: Callable[[], bool]) -> None:
            super().__init__()
            self.is_wanted = is_wanted

        def take(self, kind: Kind) -> tuple[list[Any], int]:
            told.append(self.is_wanted())
            return super().take(kind)

    monkeypatch.setattr(upkeep, "open_lake", lambda settings: None)
    monkeypatch.setattr(upkeep, "open_upkeep", lambda *_, is_wanted: Asking(is_wanted))
    monkeypatch.setattr(upkeep, "disconnect", lambda spark: None)
    monkeypatch.setattr(upkeep, "is_cycle_waiting", lambda asked: is_waiting)
    done = defs().resolve_job_def("lake_upkeep").execute_in_process(instance=instance)
    assert done.success
    assert told == [is_waiting] * 4


def test_a_run_leaves_all_for_the_next_while_another_process_writes_the_lake(
    instance: dg.DagsterInstance, lake_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To open the writer's session would stop a rebuild or a replay that runs in it."""
    opened: list[object] = []
    monkeypatch.setattr(upkeep, "open_lake", opened.append)
    held = take(lake_root.parent / NAME)
    done = defs().resolve_job_def("lake_upkeep").execute_in_process(instance=instance)
    held.release()
    assert done.success
    assert opened == []
    metadata = {
        event.materialization.asset_key.path[-1]: event.materialization.metadata
        for event in done.get_asset_materialization_events()
    }
    assert f"Process {os.getpid()} has been writing" in str(metadata["compaction"]["skipped"].value)
    assert metadata["table_files"]["live_files"].value == 0


def test_a_run_holds_the_lake_from_before_it_opens_it_until_its_end(
    instance: dg.DagsterInstance, lake_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed(Stub):
        lake = SimpleNamespace(spark=None)

    def opening(settings: object) -> None:
        with pytest.raises(LakeError, match="has been writing this lake"):
            take(lake_root.parent / NAME, wait_seconds=0)

    monkeypatch.setattr(upkeep, "open_lake", opening)
    monkeypatch.setattr(upkeep, "open_upkeep", lambda *_, is_wanted: Closed())
    monkeypatch.setattr(upkeep, "disconnect", lambda spark: None)
    assert defs().resolve_job_def("lake_upkeep").execute_in_process(instance=instance).success
    take(lake_root.parent / NAME, wait_seconds=0).release()


def test_history_is_pruned_by_its_job(instance: dg.DagsterInstance, lake_root: Path) -> None:
    done = defs().resolve_job_def("history_upkeep").execute_in_process(instance=instance)
    (event,) = done.get_asset_materialization_events()
    assert event.materialization.metadata["finished"].value is True


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The part of the minute that belongs to what can wait."""
    monkeypatch.setattr(automation, "is_quiet", lambda: True)


@pytest.mark.parametrize("sensor", ["upkeep_due", "open_gaps", "alerts"])
def test_what_can_wait_does_not_look_while_a_poll_and_its_cycle_go_on(
    sensor: str, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automation, "is_quiet", lambda: False)
    skipped = getattr(automation, sensor)(dg.build_sensor_context(instance=instance))
    assert isinstance(skipped, dg.SkipReason)
    assert "between two polls" in str(skipped)


def test_each_minute_has_a_quiet_part_that_no_sensor_misses_and_a_bite_ends_before_the_poll() -> (
    None
):
    seconds = [
        n for n in range(60) if automation.is_quiet(datetime(2026, 1, 1, 0, 0, n, tzinfo=UTC))
    ]
    # The daemon asks in steps of five seconds.
    assert len(seconds) >= automation.QUIET_INTERVAL_SECONDS + 5
    assert seconds[-1] + BITE_SECONDS <= 60


@pytest.mark.usefixtures("quiet")
def test_the_sensor_asks_for_a_bite_when_a_log_says_so(
    instance: dg.DagsterInstance, lake_root: Path
) -> None:
    context = dg.build_sensor_context(instance=instance)
    assert "Nothing is due" in str(automation.upkeep_due(context))
    make_table(lake_root / MARKET_SUMMARY.key)
    for batch in range(1, 31):
        write_commit(lake_root / MARKET_SUMMARY.key, record(batch))
    asked = automation.upkeep_due(context)
    assert isinstance(asked, dg.RunRequest)
    assert asked.tags == {"due": "1", "first": "compact"}


@pytest.mark.usefixtures("quiet")
def test_a_failed_run_is_told_once_and_its_end_once(
    instance: dg.DagsterInstance, lake_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = dg.build_sensor_context(instance=instance)
    assert "Nobody is to be told" in str(automation.alerts(context))
    broken = True

    @dg.op(name="poll")
    def poll() -> None:
        if broken:
            raise OSError("no route to https://user:s3cret@host")

    @dg.job(name="ingestion")
    def ingestion() -> None:
        poll()

    with webhook() as got:
        monkeypatch.setenv("ALERT_WEBHOOK_URL", f"http://127.0.0.1:{got.port}/hook")
        ingestion.execute_in_process(instance=instance, raise_on_error=False)
        automation.alerts(context)
        automation.alerts(context)
        broken = False
        ingestion.execute_in_process(instance=instance)
        automation.alerts(context)
    assert [(one["status"], one["key"]) for one in got.received] == [
        ("firing", "run_failed:ingestion"),
        ("resolved", "run_failed:ingestion"),
    ]
    assert "OSError" in got.received[0]["text"]
    assert "s3cret" not in str(got.received)
