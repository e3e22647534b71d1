"""The lake as Dagster sees it: run a stage, train, tell the screen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import PrivateAttr

from crypto_pipeline import settings as settings_module
from crypto_pipeline.errors import BooksError
from crypto_pipeline.holding.release import held_now
from crypto_pipeline.lake.table import Table
from crypto_pipeline.pipeline import Pipeline, open_pipeline
from crypto_pipeline.predictions.live import Scoring
from crypto_pipeline.predictions.schema import MODELS, SCORES
from crypto_pipeline.predictions.training import Training
from crypto_pipeline.publication import Publication
from crypto_pipeline.settings import Settings
from crypto_pipeline.stage import Stage
from crypto_pipeline.stage_run import StageRun

if TYPE_CHECKING:
    from crypto_pipeline.resources.databricks import DatabricksRunner

BOOKS_CHECK = "books_balance"
LOST_CHECK = "no_record_lost"


class LakeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens the Spark session on first use and keeps it for the run; settings come at run time."""

    _open: Pipeline | None = PrivateAttr(default=None)
    _loaded: Settings | None = PrivateAttr(default=None)
    _run_id: str | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        self._run_id = None if context.run is None else context.run.run_id

    @property
    def _pipeline(self) -> Pipeline:
        if self._open is None:
            self._open = open_pipeline(self._settings)
        return self._open

    @property
    def _settings(self) -> Settings:
        if self._loaded is None:
            self._loaded = settings_module.load()
        return self._loaded

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        if self._open is not None:
            self._open.close()
        self._open = self._loaded = None

    def materialize(
        self, stage: Stage
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        """Run one range of the stage; one result a table, the books as a check on the primary."""
        try:
            run, where = self._run(stage)
        except BooksError as error:
            yield _books(stage, passed=False, note=str(error))
            raise
        yield from stage_results(stage, run, where=where)

    def _run(self, stage: Stage) -> tuple[StageRun, str | None]:
        """The stage's run by the engine of its layer; in Databricks with its link."""
        if not self._settings.databricks.runs(stage.primary.layer):
            return self._pipeline.run(stage), None
        run, link = self._databricks().run(stage)
        return self._pipeline.note(run), link

    def _databricks(self) -> DatabricksRunner:
        # A second of every run's launch, which most lakes have no use for.
        from crypto_pipeline.resources.databricks import DatabricksRunner

        return DatabricksRunner(settings=self._settings)

    def held(self) -> dict[str, int]:
        """The sources that gold takes nothing of, each with the batch of silver it stopped at."""
        return held_now(self._pipeline.lake)

    def train(self) -> Training:
        if self._settings.databricks.runs(MODELS.layer):
            return self._pipeline.registered(self._databricks().train())
        return self._pipeline.train()

    def score(self) -> Scoring:
        if self._settings.databricks.runs(SCORES.layer):
            return self._databricks().score()
        return self._pipeline.score()

    def publish_summary(self) -> Publication:
        return self._pipeline.publish_summary()

    def publish_forecasts(self) -> Publication:
        return self._pipeline.publish_forecasts()

    def publish_status(self) -> Publication:
        sent = self._pipeline.publish_status(run_id=self._run_id)
        # Everything of this minute is told; what follows is for the next one.
        self._pipeline.settle()
        return sent


def asset_key(table: Table) -> dg.AssetKey:
    return dg.AssetKey([table.layer, table.name])


def stage_results(
    stage: Stage, run: StageRun, *, where: str | None = None
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """What a run of a stage gives Dagster: its tables, and the checks on its primary."""
    for table in stage.outputs:
        yield dg.MaterializeResult(asset_key=asset_key(table), metadata=describe(run, table, where))
    yield _books(stage, passed=run.balances, note=str(dict(run.outcomes)))
    if stage.topics:
        yield nothing_lost(stage, run)


def describe(run: StageRun, table: Table, where: str | None = None) -> dict[str, dg.MetadataValue]:
    """What a materialisation shows: rows, range, version, seconds and where they went."""
    metadata: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(run.rows_out.get(table.key, 0)),
        "rows_in": dg.MetadataValue.int(run.rows_in),
        "outcomes": dg.MetadataValue.json(dict(run.outcomes)),
        "batch": dg.MetadataValue.int(run.batch),
        "seconds": dg.MetadataValue.float(run.seconds),
        "seconds_by_phase": dg.MetadataValue.json(dict(run.phases)),
        "lost": dg.MetadataValue.int(run.lost),
        "left": dg.MetadataValue.int(run.left),
        "range": dg.MetadataValue.json(dict(run.ranges)),
        "held_sources": dg.MetadataValue.json(run.ranges.get("pinned", {}).get("held", {})),
    }
    if where is not None:
        metadata["databricks_run"] = dg.MetadataValue.url(where)
    if table.key in run.versions:
        metadata["table_version"] = dg.MetadataValue.int(run.versions[table.key])
    if run.newest_fact_at is not None:
        metadata["newest_fact_at"] = dg.MetadataValue.timestamp(run.newest_fact_at)
        age = datetime.now(UTC) - run.newest_fact_at
        metadata["age_seconds"] = dg.MetadataValue.float(age.total_seconds())
    return metadata


def publication_metadata(sent: Publication) -> dict[str, dg.MetadataValue]:
    return {
        "dagster/row_count": dg.MetadataValue.int(sent.records),
        "passed": dg.MetadataValue.int(sent.passed),
        "batch": dg.MetadataValue.int(sent.batch),
        "seconds": dg.MetadataValue.float(sent.seconds),
    }


def _books(stage: Stage, *, passed: bool, note: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=asset_key(stage.primary),
        check_name=BOOKS_CHECK,
        passed=passed,
        description=note,
    )


def nothing_lost(stage: Stage, run: StageRun) -> dg.AssetCheckResult:
    """Fails once for each range whose beginning retention had removed; where is in the commit."""
    return dg.AssetCheckResult(
        asset_key=asset_key(stage.primary),
        check_name=LOST_CHECK,
        passed=run.lost == 0,
        description=(
            f"{run.lost} records left the topics unread. Their minutes become open gaps in "
            "silver/gaps and are fetched anew; ticks are gone."
            if run.lost
            else "every record was read"
        ),
        metadata={"gone": dict(run.ranges.get("kafka", {}).get("gone", {}))},
    )
