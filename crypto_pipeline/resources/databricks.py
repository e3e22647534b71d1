"""Stages that run in a Databricks workspace, through Dagster Pipes.

The clients of dagster-databricks 0.29 return normally when Dagster was told to stop and they
cancelled the run, and would have it recorded as a success. So the run's own state is asked for
after every return, and nothing but SUCCESS counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import dagster as dg
from dagster._core.errors import DagsterPipesExecutionError
from dagster._core.pipes.context import PipesMessageHandler
from dagster_databricks import PipesDatabricksClient
from dagster_databricks.pipes import (
    PipesDatabricksServerlessClient,
    PipesUnityCatalogVolumesContextInjector,
    PipesUnityCatalogVolumesMessageReader,
)
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.mixins.jobs import JobsExt
from databricks.sdk.service import jobs
from requests import RequestException

from crypto_pipeline.databricks import endings, messages
from crypto_pipeline.databricks.access import config
from crypto_pipeline.databricks.steps import SCORING, TRAINING
from crypto_pipeline.databricks.submit import submit_args, submit_token, task
from crypto_pipeline.errors import BooksError, RunnerError
from crypto_pipeline.predictions.live import Scoring
from crypto_pipeline.predictions.training import Training
from crypto_pipeline.settings import Settings
from crypto_pipeline.stage import Stage
from crypto_pipeline.stage_run import StageRun

# A workspace that does not answer, or says that it is busy, is asked again for this long.
PATIENCE_SECONDS = 300
# The ways in which a workspace does not grant a request; the client raises the second and third
# after its patience.
UNGRANTED = (DatabricksError, RequestException, TimeoutError)

Result = TypeVar("Result")


class WatchedJobs(JobsExt):
    """The jobs of a workspace; remembers the run that was submitted and what became of it."""

    submitted: int | None = None
    seen: jobs.Run | None = None
    was_cancelled: bool = False

    def submit(self, **arguments: Any) -> Any:
        waiting = super().submit(**arguments)
        self.submitted = int(waiting.bind()["run_id"])
        return waiting

    def get_run(self, run_id: int, **arguments: Any) -> jobs.Run:
        self.seen = super().get_run(run_id, **arguments)
        return self.seen

    def cancel_run(self, run_id: int) -> Any:
        self.was_cancelled = True
        return super().cancel_run(run_id)

    @property
    def link(self) -> str | None:
        """Where the submitted run is seen; None when there is none."""
        if self.submitted is None:
            return None
        page = None if self.seen is None else self.seen.run_page_url
        return page or f"run {self.submitted} in the workspace"


class Workspace(WorkspaceClient):
    """A workspace in which one run is watched."""

    def __init__(self, config: Config) -> None:
        super().__init__(config=config)
        self.watched = WatchedJobs(self.api_client)  # type: ignore[no-untyped-call]

    @property
    def jobs(self) -> WatchedJobs:
        return self.watched


class KeptMessages(PipesUnityCatalogVolumesMessageReader):
    """Messages in a volume, at hand also when the run has failed and its client raises."""

    handler: PipesMessageHandler | None = None

    @contextmanager
    def read_messages(self, handler: PipesMessageHandler) -> Iterator[Any]:
        self.handler = handler
        with super().read_messages(handler) as parameters:
            yield parameters

    @property
    def told(self) -> Sequence[Mapping[str, Any]]:
        return [] if self.handler is None else self.handler.get_custom_messages()


@dataclass(frozen=True, kw_only=True)
class DatabricksRunner:
    """Runs one step at a time in a workspace; a run is looked at every `poll_seconds`."""

    settings: Settings
    poll_seconds: float = 5.0
    patience_seconds: int = PATIENCE_SECONDS

    def run(self, stage: Stage) -> tuple[StageRun, str]:
        """What the stage did there, and the run's link. Raises RunnerError, or BooksError."""
        return self._told(stage.name, messages.run_of)

    def train(self) -> Training:
        """What the training there says of itself."""
        return self._told(TRAINING, messages.training_of)[0]

    def score(self) -> Scoring:
        """What the scoring there says of itself."""
        return self._told(SCORING, messages.scoring_of)[0]

    def _told(
        self, step: str, read: Callable[[messages.Messages, str], Result | None]
    ) -> tuple[Result, str]:
        told, link = self._run(step)
        result = read(told, step)
        if result is None:
            raise RunnerError(
                f"The run of {step} ended well and told nothing of it. Check that the wheel in the "
                f"volume is of this version. See {link}."
            )
        return result, link

    def _run(self, step: str) -> tuple[Sequence[Mapping[str, Any]], str]:
        workspace = self._workspace()
        reader = KeptMessages(
            client=workspace,
            volume_path=str(self.settings.databricks.volume),
            interval=self.poll_seconds,
            include_stdio_in_messages=False,
        )
        try:
            self._submit(step, workspace, reader)
            self._refuse_bad_end(step, workspace.watched, reader.told)
        except UNGRANTED as error:
            cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
            raise RunnerError(
                endings.refused(
                    step, cause, settings=self.settings.databricks, link=workspace.watched.link
                )
            ) from error
        return reader.told, str(workspace.watched.link)

    def _submit(self, step: str, workspace: Workspace, reader: KeptMessages) -> None:
        context = dg.OpExecutionContext.get()
        token = submit_token(run_id=context.run.run_id, step=step, attempt=context.retry_number)
        # How the run has ended is asked of the run itself, whatever the client makes of it.
        with suppress(DagsterPipesExecutionError):
            self._client(workspace, reader).run(
                context=context,
                task=task(self.settings, step),
                submit_args=submit_args(self.settings, step, token=token),
            )

    def _refuse_bad_end(
        self, step: str, watched: WatchedJobs, told: Sequence[Mapping[str, Any]]
    ) -> None:
        run = watched.get_run(int(watched.submitted or 0))
        if endings.is_good(run) and not watched.was_cancelled:
            return
        error = messages.error_of(told)
        said = None if error is None else str(error["sentence"])
        if error is not None and error["error"] == BooksError.__name__:
            raise BooksError(said)
        raise RunnerError(endings.ended(step, run, said=said or _output(watched, run)))

    def _client(
        self, workspace: Workspace, reader: KeptMessages
    ) -> PipesDatabricksClient | PipesDatabricksServerlessClient:
        volume = str(self.settings.databricks.volume)
        injector = PipesUnityCatalogVolumesContextInjector(client=workspace, volume_path=volume)
        if self.settings.databricks.cluster_id is not None:
            return PipesDatabricksClient(
                workspace,
                context_injector=injector,
                message_reader=reader,
                poll_interval_seconds=self.poll_seconds,
            )
        return PipesDatabricksServerlessClient(
            workspace,
            volume_path=volume,
            context_injector=injector,
            message_reader=reader,
            poll_interval_seconds=self.poll_seconds,
        )

    def _workspace(self) -> Workspace:
        return Workspace(config(self.settings.databricks, patience_seconds=self.patience_seconds))


def _output(watched: WatchedJobs, run: jobs.Run) -> str | None:
    """The error that the task ended with, in the workspace's own words."""
    if not run.tasks or run.tasks[0].run_id is None:
        return None
    with suppress(*UNGRANTED):
        return watched.get_run_output(run.tasks[0].run_id).error
    return None
