"""An asset whose stage runs in Databricks: what it is given, and how each bad end ends it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.pipes import utils as pipes

from crypto_pipeline.databricks import messages
from crypto_pipeline.databricks.wheel import WHEEL
from crypto_pipeline.errors import BooksError
from crypto_pipeline.pipeline import Pipeline
from crypto_pipeline.predictions.asset import scores, training
from crypto_pipeline.predictions.live import Scoring
from crypto_pipeline.predictions.training import Training
from crypto_pipeline.resources.databricks import DatabricksRunner
from crypto_pipeline.resources.lake import BOOKS_CHECK, LakeResource
from crypto_pipeline.silver.asset import silver_stage
from crypto_pipeline.stage_run import StageRun
from crypto_pipeline_tests.databricks.told import RUN, done, tell
from crypto_pipeline_tests.databricks.workspace import (
    CLUSTER,
    TOKEN,
    VOLUME,
    FakeRun,
    Workspace,
    put_wheel,
    serving,
)

# Dagster's own Pipes session calls what it has in preview itself.
pytestmark = pytest.mark.filterwarnings("ignore:.*is currently in preview")


class Noted:
    """In the place of our own Spark: keeps what the other engine has done."""

    def __init__(self) -> None:
        self.runs: list[StageRun] = []
        self.fitted: list[Training] = []

    def note(self, run: StageRun) -> StageRun:
        self.runs.append(run)
        return run

    def registered(self, done: Training) -> Training:
        self.fitted.append(done)
        return done

    def close(self) -> None: ...


NOTED = Noted()


class QuickLake(LakeResource):
    """Looks at its run often, and gives up asking after three seconds."""

    @property
    def _pipeline(self) -> Pipeline:
        return NOTED  # type: ignore[return-value]

    def _databricks(self) -> DatabricksRunner:
        return DatabricksRunner(settings=self._settings, poll_seconds=0.1, patience_seconds=3)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace that is set and has our wheel; its task tells of a good run of silver."""

    def well(run: FakeRun) -> Mapping[str, Any]:
        tell(tmp_path, run, done())
        return {}

    wheel = tmp_path / WHEEL
    wheel.touch()
    with serving(tmp_path, well) as running:
        put_wheel(running, VOLUME, wheel)
        for name, value in {
            "RUNNER": "databricks",
            "DATABRICKS_HOST": running.url,
            "DATABRICKS_TOKEN": TOKEN,
            "DATABRICKS_VOLUME": VOLUME,
            "LAKE_ROOT": "s3a://market-data/lake",
            "MARKET": "simulated",
            "STATE_DIR": str(tmp_path / "state"),
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        # Dagster looks once a second, and ten more for words of a task that is known to have died.
        monkeypatch.setattr(pipes, "DEFAULT_SLEEP_INTERVAL", 0.05)
        monkeypatch.setattr(pipes, "WAIT_FOR_LOGS_AFTER_EXECUTION_INTERVAL", 0)
        yield running


def cycle(*assets: dg.AssetsDefinition) -> dg.ExecuteInProcessResult:
    """The assets once, silver's unless others are named, as a cycle runs them."""
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            assets or [silver_stage],
            resources={"lake": QuickLake()},
            instance=instance,
            raise_on_error=False,
        )


def why(result: dg.ExecuteInProcessResult) -> str:
    """The sentence that a failed run ended with; nothing was materialised by it."""
    assert not result.success
    assert not result.asset_materializations_for_node("silver_stage")
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    error = failure.step_failure_data.error
    assert error is not None
    assert error.cause is not None
    return error.cause.message


@pytest.mark.parametrize("cluster", [None, CLUSTER])
def test_rows_ranges_and_the_runs_link_reach_the_asset(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, cluster: str | None
) -> None:
    if cluster is not None:
        monkeypatch.setenv("DATABRICKS_CLUSTER_ID", cluster)
    result = cycle()
    assert result.success
    found = {m.asset_key.path[-1]: m.metadata for m in result.asset_materializations_for_node(
        "silver_stage"
    )}  # fmt: skip
    assert found["ticks"]["dagster/row_count"].value == 20
    assert found["ticks"]["range"].value == RUN.ranges
    assert found["ticks"]["table_version"].value == 8
    assert found["gaps"]["dagster/row_count"].value == 0
    (run,) = workspace.runs.values()
    assert found["ticks"]["databricks_run"].value == f"{workspace.url}/jobs/runs/{run.id}"
    assert "--steps=silver" in run.parameters
    assert "--lake-root=s3://market-data/lake" in run.parameters
    assert run.task.existing_cluster_id == cluster
    (check,) = result.get_asset_check_evaluations()
    assert check.passed
    # The channel is cleaned up, the wheel stays.
    left = [file.name for file in workspace.path(VOLUME).rglob("*") if file.is_file()]
    assert left == [WHEEL]


def test_a_training_and_a_scoring_there_reach_their_assets(workspace: Workspace) -> None:
    fitted = Training(fits=(), model_version="v", reason="fitted", input_version=3)
    scored = Scoring(rows=12, horizons=[], reason="scored")

    def by_step(run: FakeRun) -> Mapping[str, Any]:
        step = run.task.task_key
        tell(
            workspace.folder, run, messages.done(step, {"training": fitted, "scores": scored}[step])
        )
        return {}

    workspace.execute = by_step
    result = cycle(training, scores)
    assert result.success
    metadata = {
        m.asset_key.path[-1]: m.metadata
        for name in ("training", "scores")
        for m in result.asset_materializations_for_node(name)
    }
    assert metadata["models"]["model_version"].value == "v"
    assert metadata["scores"]["dagster/row_count"].value == 12
    # The registry is on our side: what was fitted there is registered here.
    assert NOTED.fitted[-1] == fitted


def test_a_failed_run_fails_the_asset_with_what_its_task_told(workspace: Workspace) -> None:
    def badly(run: FakeRun) -> Mapping[str, Any]:
        sentence = {"step": "silver", "error": "SchemaDriftError", "sentence": "A column is gone."}
        tell(workspace.folder, run, sentence)
        return {"error": "SchemaDriftError: A column is gone."}

    workspace.execute = badly
    words = why(cycle())
    assert "step silver as FAILED: A column is gone." in words
    assert f"See {workspace.url}/jobs/runs/1000" in words


def test_a_task_that_could_tell_nothing_is_asked_for_its_output(workspace: Workspace) -> None:
    workspace.execute = lambda _: {"error": "ImportError: no module named x"}
    assert "as FAILED: ImportError: no module named x." in why(cycle())


def test_books_that_do_not_balance_there_fail_the_check_here(workspace: Workspace) -> None:
    def unbalanced(run: FakeRun) -> Mapping[str, Any]:
        tell(workspace.folder, run, messages.failed("silver", BooksError("One row is missing.")))
        return {"error": "BooksError: One row is missing."}

    workspace.execute = unbalanced
    result = cycle()
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.description) == (
        BOOKS_CHECK, False, "One row is missing.",
    )  # fmt: skip
    assert "One row is missing." in why(result)


def test_a_run_that_is_cancelled_there_is_no_materialisation(workspace: Workspace) -> None:
    def until_cancelled(run: FakeRun) -> Mapping[str, Any]:
        run.cancelled.wait(30)
        return {}

    workspace.execute = until_cancelled
    workspace.on_look = lambda run: run.cancelled.set()
    assert "as CANCELED: Run cancelled. It was cancelled" in why(cycle())


def test_what_is_stopped_here_is_cancelled_there_and_fails(workspace: Workspace) -> None:
    """The clients' own answer to this was a success."""

    def until_cancelled(run: FakeRun) -> Mapping[str, Any]:
        run.cancelled.wait(30)
        return {}

    def stop_us(run: FakeRun) -> None:
        if run.life == "RUNNING" and not stopped:
            stopped.append(run.id)
            os.kill(os.getpid(), signal.SIGINT)

    stopped: list[int] = []
    workspace.execute, workspace.on_look = until_cancelled, stop_us
    words = why(cycle())
    assert stopped == [1000]
    assert workspace.asked["POST 2.2/jobs/runs/cancel"] == 1
    assert "as CANCELED" in words


def test_a_run_beyond_its_time_says_which_setting_to_raise(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def beyond(run: FakeRun) -> Mapping[str, Any]:
        return {"timed_out": not run.cancelled.wait(workspace.seconds(run))}

    monkeypatch.setenv("DATABRICKS_TIMEOUT_MINUTES", "1")
    workspace.execute, workspace.speed = beyond, 120.0
    words = why(cycle())
    assert "as TIMEDOUT: Run exceeded 60 seconds" in words
    assert "DATABRICKS_TIMEOUT_MINUTES" in words


def test_a_token_that_expires_while_it_runs_is_named_with_the_runs_link(
    workspace: Workspace,
) -> None:
    def expire(run: FakeRun) -> None:
        workspace.faults.update(dict.fromkeys(ASKED, ["expired"] * 100))  # type: ignore[arg-type]

    workspace.on_look = expire
    workspace.execute = lambda run: {"late": run.cancelled.wait(2)}
    words = why(cycle())
    assert "The token is wrong or has expired" in words
    assert f"may still be going: see {workspace.url}/jobs/runs/1000" in words


ASKED = ("GET 2.2/jobs/runs/get", "GET 2.0/fs/directories", "DELETE 2.0/fs/directories")


def test_what_is_not_allowed_is_said_with_what_to_grant(workspace: Workspace) -> None:
    for endpoint in ("PUT 2.0/fs/directories", "POST 2.2/jobs/runs/submit"):
        workspace.faults = {endpoint: ["denied"]}
        words = why(cycle())
        assert f"Grant this user READ VOLUME and WRITE VOLUME on {VOLUME}" in words
        assert "Nothing was started." in words
    assert not workspace.runs


def test_a_cluster_or_a_wheel_that_is_not_there_is_named(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace.path(VOLUME) / WHEEL).unlink()
    words = why(cycle())
    assert f"Library installation failed: ['{VOLUME}/{WHEEL}'] is not there" in words
    assert "INTERNAL_ERROR" in words
    monkeypatch.setenv("DATABRICKS_CLUSTER_ID", "0000-000000-gone")
    words = why(cycle())
    assert "Cluster 0000-000000-gone does not exist" in words
    assert "DATABRICKS_CLUSTER_ID=0000-000000-gone" in words


def test_a_busy_workspace_is_asked_again(workspace: Workspace) -> None:
    workspace.faults = {
        "POST 2.2/jobs/runs/submit": ["busy"],
        "GET 2.2/jobs/runs/get": ["busy"],
    }
    assert cycle().success
    assert workspace.asked["POST 2.2/jobs/runs/submit"] == 2
    assert len(workspace.runs) == 1


def test_a_workspace_that_stays_busy_is_a_sentence(workspace: Workspace) -> None:
    workspace.faults = {"POST 2.2/jobs/runs/submit": ["busy"] * 100}
    words = why(cycle())
    assert "It was asked too often" in words
    assert "Nothing was started." in words


def test_a_lost_answer_to_the_submit_starts_no_second_run(workspace: Workspace) -> None:
    workspace.faults = {"POST 2.2/jobs/runs/submit": ["drop"]}
    assert cycle().success
    assert workspace.asked["POST 2.2/jobs/runs/submit"] == 2
    assert len(workspace.runs) == 1


def test_a_task_of_another_version_that_tells_nothing_is_no_success(workspace: Workspace) -> None:
    workspace.execute = lambda _: {}
    assert "told nothing of it. Check that the wheel in the volume" in why(cycle())
