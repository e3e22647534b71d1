"""Who goes first in Dagster's queue, and whose failures are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.instance.ref import InstanceRef
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)

from crypto_pipeline.automation import WATCHED_JOBS
from crypto_pipeline.definitions import defs
from crypto_pipeline_tests.conftest import ROOT


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """With the queue, the pools and the limits of deploy/dagster.yaml."""
    whole = yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text())
    given = {name: whole[name] for name in ("telemetry", "run_coordinator", "concurrency")}
    ref = InstanceRef.from_dir(str(tmp_path), overrides=given)
    with dg.DagsterInstance.from_ref(ref) as made:
        yield made


REPOSITORY = RemoteRepositoryOrigin(
    RegisteredCodeLocationOrigin("crypto_pipeline"), "__repository__"
)


def queue(instance: dg.DagsterInstance, job: str, *, day: str | None = None) -> None:
    """A run that waits, as a schedule or a person asked for it: with the tags of its job."""
    definition = defs().resolve_job_def(job)
    partition = {} if day is None else {"dagster/partition": day}
    instance.create_run_for_job(
        definition,
        status=dg.DagsterRunStatus.QUEUED,
        tags={**definition.run_tags, **partition},
        remote_job_origin=RemoteJobOrigin(REPOSITORY, job),
    )


def taken(instance: dg.DagsterInstance) -> list[str]:
    """The jobs that the daemon would start now, in their order."""
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
    found = daemon._get_runs_to_dequeue(instance, instance.get_concurrency_config(), None)
    return [run.job_name for run in found]


def test_a_range_of_days_takes_one_place_and_the_poll_and_the_cycle_go_before_it(
    instance: dg.DagsterInstance,
) -> None:
    for day in range(1, 6):
        queue(instance, "candle_backfill", day=f"2026-11-0{day}")
    queue(instance, "audit_day", day="2026-11-06")
    taken(instance)  # the first look at a pool gives it its limit, and does not know it yet
    assert taken(instance) == ["audit_day"]
    for job in ("lake_upkeep", "lake_cycle", "ingestion"):
        queue(instance, job)
    assert taken(instance) == ["ingestion", "lake_cycle", "audit_day"]


def test_a_poll_that_goes_on_for_ten_minutes_is_ended() -> None:
    assert defs().resolve_job_def("ingestion").run_tags["dagster/max_runtime"] == "600"


# Jobs whose failures nobody is told of, each with its reason.
NOT_TOLD: dict[str, str] = {}


def test_the_failure_of_every_job_is_told_or_named_as_not_to_be() -> None:
    jobs = {name for name in defs().get_repository_def().job_names if not name.startswith("__")}
    assert jobs == {*WATCHED_JOBS, *NOT_TOLD}
