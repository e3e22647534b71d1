"""Runs of a code location that is gone."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from crypto_pipeline.resources.dead_runs import WHY, fail_all
from crypto_pipeline_tests.test_automation import queue

Status = dg.DagsterRunStatus


@dg.op
def nothing() -> None: ...


@dg.job
def short() -> None:
    nothing()


def begun(instance: dg.DagsterInstance, status: Status) -> str:
    return instance.create_run_for_job(short, status=status).run_id


def test_runs_that_had_begun_are_failed_with_a_reason_and_those_that_wait_stay(
    tmp_path: Path,
) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        dead = [begun(instance, s) for s in (Status.STARTING, Status.STARTED, Status.CANCELING)]
        over = begun(instance, Status.SUCCESS)
        queue(instance, "history_upkeep")

        assert fail_all(instance) == 3

        by_id = {run.run_id: run for run in instance.get_runs()}
        assert {by_id[run].status for run in dead} == {Status.FAILURE}
        assert by_id.pop(over).status is Status.SUCCESS
        (waiting,) = (run for run in by_id.values() if run.run_id not in dead)
        assert waiting.status is Status.QUEUED
        failed = dg.DagsterEventType.RUN_FAILURE
        told = [event for run in dead for event in instance.all_logs(run, of_type=failed)]
        assert [event.dagster_event.message for event in told] == [WHY] * 3
        assert fail_all(instance) == 0
