"""The whole job on the runtime's own Spark and Delta, against ours: the same tables.

Our wheel runs in Spark 3.5 and Delta 3.2 on a bucket. Batches are taken in one graph of Dagster,
raw by our Spark from the topics, the rest by wheel tasks on places in the bucket; or by the
notebooks, on names in a catalog. Then Spark 4.2 makes the same of the same raw records in a folder.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.pipes import utils as pipes
from deltalake import DeltaTable
from rich.console import Console

from crypto_pipeline.bronze.asset import bronze_stage
from crypto_pipeline.champion import promote
from crypto_pipeline.databricks.steps import NAMES as EVERY_STEP
from crypto_pipeline.databricks.steps import run_step
from crypto_pipeline.errors import ForeignEngineError
from crypto_pipeline.gold.asset import candles_stage, summary_stage, volatility_stage
from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import ENGINE_PROPERTY, Lake
from crypto_pipeline.lake.opening import storage_options
from crypto_pipeline.lake.table import Table
from crypto_pipeline.pipeline import Pipeline, open_pipeline
from crypto_pipeline.predictions.asset import predictions_stage, scores, training
from crypto_pipeline.predictions.fit import fit_of
from crypto_pipeline.predictions.recipe import LIVE_FITTED
from crypto_pipeline.predictions.schema import FORECASTS, GATES, HORIZONS, MODELS
from crypto_pipeline.raw.asset import raw_stage
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.rebuild.run import rebuild
from crypto_pipeline.resources.databricks import DatabricksRunner
from crypto_pipeline.resources.lake import LakeResource
from crypto_pipeline.settings import Settings
from crypto_pipeline.silver.asset import silver_stage
from crypto_pipeline.stages import BRONZE, SILVER, STAGES, TABLES
from crypto_pipeline.stream.ranges import read_ends
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.books.market import Facts
from crypto_pipeline_tests.builders import frame
from crypto_pipeline_tests.databricks import history
from crypto_pipeline_tests.databricks.engines import PREFIX, Engines, follow, runner_of
from crypto_pipeline_tests.databricks.equality import assert_same, rows_of
from crypto_pipeline_tests.databricks.volatility import two_days, written
from crypto_pipeline_tests.topics import NAMES, clipped, send

pytestmark = [
    pytest.mark.spark,
    pytest.mark.integration,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore:.*is currently in preview"),
]

ASSETS = [
    raw_stage, bronze_stage, silver_stage, candles_stage, volatility_stage, summary_stage,
    training, predictions_stage, scores,
]  # fmt: skip
NOTEBOOKS = ("raw_to_bronze", "bronze_to_silver", "silver_to_gold", "ml_predictions")
# Nothing is missing in this market, and it is too young to be fitted.
EMPTY = ("gaps", "models")


@dataclass(frozen=True, kw_only=True)
class Round:
    """What comes onto the topics, and who makes which tables of it: Dagster, then notebooks."""

    facts: Facts
    assets: Sequence[dg.AssetsDefinition]
    notebooks: Sequence[str]


# Every layer twice, once by each; or a layer by each, which takes a third of the minutes.
FULL = (
    Round(facts=history.first(), assets=ASSETS, notebooks=()),
    Round(facts=history.second(), assets=ASSETS[:1], notebooks=NOTEBOOKS),
)
REDUCED = (
    Round(facts=[*history.first(), *history.second()], assets=ASSETS[:2], notebooks=NOTEBOOKS[1:2]),
)
# What the rounds make: the tables after raw, and the steps that our Spark follows with.
MADE = TABLES[1:] if proof.is_full() else (*BRONZE.outputs, *SILVER.outputs)
STEPS = EVERY_STEP if proof.is_full() else (BRONZE.name, SILVER.name)


class GraphLake(LakeResource):
    """The resource as it is, but that it looks at its runs often."""

    def _databricks(self) -> DatabricksRunner:
        return DatabricksRunner(settings=self._settings, poll_seconds=0.1)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, broker: Settings) -> None:
    """Dagster looks for messages often, and raw reads our part of the topics that all share."""
    monkeypatch.setattr(pipes, "DEFAULT_SLEEP_INTERVAL", 0.05)
    monkeypatch.setattr(pipes, "WAIT_FOR_LOGS_AFTER_EXECUTION_INTERVAL", 0)
    begin = read_ends(broker, NAMES)

    def on_our_part(settings: Settings) -> Pipeline:
        opened = open_pipeline(settings)
        ends = opened.runner.read_ends
        seen = replace(opened.runner, read_ends=lambda: clipped(ends(), begin))
        return replace(opened, runner=seen)

    monkeypatch.setattr("crypto_pipeline.resources.lake.open_pipeline", on_our_part)


def materialized(*assets: dg.AssetsDefinition) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(assets, resources={"lake": GraphLake()}, instance=instance)


def opened(of: Lake, table: Table, settings: Settings) -> DeltaTable:
    return DeltaTable(of.path(table), storage_options=storage_options(settings.store))


@pytest.mark.prove
def test_the_job_and_the_notebooks_make_the_tables_that_our_spark_makes(
    engines: Engines, broker: Settings, quick: None, tmp_path: Path
) -> None:
    claim = proof.begin("databricks-job", reduced=len(REDUCED), full=len(FULL))
    theirs, ours = engines.lake(PREFIX), engines.local(tmp_path / "lake")
    for taken in FULL if proof.is_full() else REDUCED:
        send(broker, *taken.facts)
        done = materialized(*taken.assets)
        assert done.success
        assert all(check.passed for check in done.get_asset_check_evaluations())
        assert counted(done)["records"] == len(taken.facts)
        for name in taken.notebooks:
            engines.notebook(name, PREFIX)
        engines.download(RECORDS, PREFIX, ours)
        follow(ours, theirs, STEPS)

    rows = 0
    for table in MADE:
        found = rows_of(opened(theirs, table, engines.settings), table)
        assert_same(found, rows_of(DeltaTable(ours.path(table)), table), table)
        assert found or table.name in EMPTY, table.key
        rows += len(found)
    for stage in (one for one in STAGES if one.primary in MADE):
        record = log.last_commit(theirs.path(stage.primary))
        assert record is not None
        assert record.batch == claim.count
    claim.record(rows=rows, tables=len(MADE))


def counted(done: dg.ExecuteInProcessResult) -> dict[str, object]:
    """The rows by table that a graph's runs tell Dagster."""
    events = done.get_asset_materialization_events()
    made = [event.step_materialization_data.materialization for event in events]
    return {
        one.asset_key.path[-1]: one.metadata["dagster/row_count"].value
        for one in made
        if "dagster/row_count" in one.metadata
    }


def test_each_engine_writes_its_own_tables_and_refuses_the_others(engines: Engines) -> None:
    """After the job: raw is ours, the rest theirs, and open readers know the protocol."""
    theirs = engines.lake(PREFIX)
    for table in (RECORDS, *MADE):
        state = log.open_table(theirs.path(table))
        assert state is not None
        engine = "spark" if table == RECORDS else "databricks"
        assert state.properties[ENGINE_PROPERTY] == engine, table.key
        protocol = opened(theirs, table, engines.settings).protocol()
        assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2), table.key
    with pytest.raises(ForeignEngineError, match="is written by databricks, this is spark"):
        runner_of(theirs).run(STAGES[1])
    with pytest.raises(ForeignEngineError, match="is written by databricks"):
        rebuild(theirs, "silver")
    if GATES in MADE:
        with pytest.raises(ForeignEngineError, match="predictions/gates is written by databricks"):
            promote(engines.settings, Console(quiet=True), version=None)


def test_a_fit_there_is_the_fit_here_and_so_is_what_it_forecasts(
    engines: Engines, tmp_path: Path
) -> None:
    theirs = engines.lake("fits", engine="databricks")
    ours = engines.local(tmp_path / "lake")
    for lake in (theirs, ours):
        written(lake, frame(engines.spark, VOLATILITY, two_days()))
    engines.wheel_task("training,predictions", "fits")
    for step in ("training", "predictions"):
        run_step(runner_of(ours), step)

    fits = [[fit_of(one) for one in fitted(lake)] for lake in (theirs, ours)]
    assert len(fits[0]) == len(fits[1]) == len(LIVE_FITTED) * len(HORIZONS)
    for one, other in zip(*fits, strict=True):
        assert (one.model, one.horizon_minutes, one.rows) == (
            other.model, other.horizon_minutes, other.rows,
        )  # fmt: skip
        assert one.weights == pytest.approx(other.weights, rel=1e-7, abs=1e-9)
        assert math.isclose(one.band, other.band, rel_tol=1e-7)
    # Ids and versions have the time of the fit in them.
    without = ("id", "model_version")
    found = rows_of(opened(theirs, FORECASTS, engines.settings), FORECASTS, without=without)
    assert {row["model"] for row in found} >= set(LIVE_FITTED)
    expected = rows_of(DeltaTable(ours.path(FORECASTS)), FORECASTS, without=without)
    # Two versions of numpy differ in the tenth digit of a weight, and there are eighteen.
    assert_same(found, expected, FORECASTS, tolerance=1e-7)


def fitted(of: Lake) -> list[dict[str, object]]:
    record = log.last_commit(of.path(MODELS))
    assert record is not None
    fits: list[dict[str, object]] = record.ranges["fits"]
    return fits
