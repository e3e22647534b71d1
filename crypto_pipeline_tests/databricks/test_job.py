"""The whole job on the runtime's own Spark and Delta, against ours: the same tables.

Our wheel runs in Spark 3.5 and Delta 3.2 on a bucket. The first batches are taken by wheel tasks
that Dagster's own client submits, on places in the bucket; the next ones by the notebooks, on
names in a catalog. Then Spark 4.2 makes the same
of the same raw records in a folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import dagster as dg
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from crypto_pipeline.databricks.wheel import WHEEL
from crypto_pipeline.errors import ForeignEngineError
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.opening import storage_options
from crypto_pipeline.lake.table import Table
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.rebuild.run import rebuild
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import load
from crypto_pipeline.stages import RAW, STAGES
from crypto_pipeline_tests.builders import put
from crypto_pipeline_tests.databricks import history
from crypto_pipeline_tests.databricks.cluster import (
    DEPLOY,
    Cluster,
    build_wheel,
    cluster,
    install_wheel,
    runtime,
    s3_conf,
)
from crypto_pipeline_tests.databricks.test_runner import VOLUME, QuickLake
from crypto_pipeline_tests.databricks.workspace import TOKEN, FakeRun, Workspace, put_wheel, serving
from crypto_pipeline_tests.store.server import BUCKET, KEYS, Store
from crypto_pipeline_tests.store.server import serving as serving_store

if TYPE_CHECKING:
    pass

pytestmark = [
    pytest.mark.spark,
    pytest.mark.integration,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore:.*is currently in preview"),
]

LATER = STAGES[1:]
TABLES = [table for stage in LATER for table in stage.outputs]
PREFIX = "databricks"
NOTEBOOKS = ("raw_to_bronze", "bronze_to_silver", "silver_to_gold", "ml_predictions")
# The open one that stands in for Unity Catalog: the same statements, names in three parts.
CATALOG = "spark_catalog"


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with serving_store() as server:
        yield server


@dataclass
class Runs:
    """A cluster in a workspace, and the settings that lead there."""

    cluster: Cluster
    workspace: Workspace
    settings: Mapping[str, str]
    store: Store

    def execute(self, run: FakeRun) -> Mapping[str, Any]:
        task = run.task.python_wheel_task
        assert task is not None
        return self.cluster.run(task.as_dict())

    def notebook(self, name: str) -> None:
        parameters = {
            "lake_root": f"s3://{BUCKET}/{PREFIX}",
            "market": "simulated",
            "catalog": CATALOG,
        }
        path = str(DEPLOY / "notebooks" / f"{name}.py")
        answer = self.cluster.run({"path": path, "parameters": parameters})
        assert answer["error"] is None, answer["trace"]

    def upload(self, place: Path, key: str) -> None:
        """Everything of a folder, as the Spark next to Kafka has written it."""
        client = boto3.client(
            "s3",
            endpoint_url=self.store.url,
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            region_name="us-east-1",
        )
        for file in place.rglob("*"):
            if file.is_file():
                client.upload_file(str(file), BUCKET, f"{PREFIX}/{key}/{file.relative_to(place)}")


@pytest.fixture(scope="module")
def runs(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("databricks")
    place = runtime()
    python = place / "bin" / "python"
    wheel = build_wheel(folder / "dist", python)
    assert wheel.name == WHEEL
    install_wheel(wheel, folder / "packages", python)
    conf = s3_conf(place, store.url, folder)
    with (
        cluster(python, folder / "packages", folder=folder, conf=conf) as running,
        serving(folder, lambda _: {}) as workspace,
    ):
        put_wheel(workspace, VOLUME, wheel)
        settings = {
            "RUNNER": "databricks",
            "DATABRICKS_HOST": workspace.url,
            "DATABRICKS_TOKEN": TOKEN,
            "DATABRICKS_VOLUME": VOLUME,
            "MARKET": "simulated",
            "STATE_DIR": str(folder / "state"),
            **store.settings(PREFIX),
        }
        found = Runs(running, workspace, settings, store)
        workspace.execute = found.execute
        yield found


def test_the_job_and_the_notebooks_make_the_tables_that_our_spark_makes(
    runs: Runs, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in runs.settings.items():
        monkeypatch.setenv(name, value)
    settings = load(env_file=Path("none"))
    theirs = replace(lake, root=settings.lake_root)

    put(lake, RAW, {RECORDS: history.first()})
    runs.upload(Path(lake.path(RECORDS)), RECORDS.key)
    by_dagster()
    first = pinned(theirs)
    ours(lake, first)

    put(lake, RAW, {RECORDS: history.second()}, batch=2)
    runs.upload(Path(lake.path(RECORDS)), RECORDS.key)
    for name in NOTEBOOKS:
        runs.notebook(name)
    ours(lake, pinned(theirs))

    options = storage_options(settings.store)
    for table in TABLES:
        found = content(DeltaTable(theirs.path(table), storage_options=options), table)
        assert found == content(DeltaTable(lake.path(table)), table), table.key
        assert found or table.name == "gaps", table.key
    for stage in LATER:
        record = log.last_commit(theirs.path(stage.primary))
        assert record is not None
        assert record.batch == 2
    protocol = DeltaTable(theirs.path(TABLES[0]), storage_options=options).protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)
    with pytest.raises(ForeignEngineError, match="is written by databricks, this is spark"):
        StageRunner(lake=theirs, read_ends=never, kafka_options={}).run(LATER[0])
    with pytest.raises(ForeignEngineError, match="is written by databricks"):
        rebuild(theirs, "gold")


def by_dagster() -> None:
    """Each asset after raw, through the client that submits wheel tasks."""
    from crypto_pipeline.bronze.asset import bronze_stage
    from crypto_pipeline.gold.asset import candles_stage, summary_stage, volatility_stage
    from crypto_pipeline.predictions.asset import predictions_stage, training
    from crypto_pipeline.silver.asset import silver_stage

    assets = [
        bronze_stage, silver_stage, candles_stage, volatility_stage, summary_stage, training,
        predictions_stage,
    ]  # fmt: skip
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(assets, resources={"lake": QuickLake()}, instance=instance)
    assert done.success
    rows = {
        m.asset_key.path[-1]: m.metadata["dagster/row_count"].value
        for name in ("bronze_stage", "candles_stage")
        for m in done.asset_materializations_for_node(name)
    }
    assert rows["rejected"] == 0
    assert rows["ticks"] == 4
    assert rows["candles_1m"] > 60


def ours(lake: Lake, clocks: Mapping[str, datetime]) -> None:
    """The same stages by our Spark, each at the instant that the other engine's had."""
    for stage in LATER:
        at = clocks[stage.name]
        runner = StageRunner(lake=lake, read_ends=never, kafka_options={}, now=lambda at=at: at)
        assert not runner.run(stage).is_empty


def pinned(lake: Lake) -> dict[str, datetime]:
    """What each stage's newest batch took for now."""
    found = {}
    for stage in LATER:
        record = log.last_commit(lake.path(stage.primary))
        assert record is not None
        found[stage.name] = datetime.fromisoformat(record.ranges["pinned"]["now"])
    return found


def never() -> Any:
    raise AssertionError("no stage after raw asks the topics")


def content(table: DeltaTable, spec: Table) -> list[str]:
    """All rows, sorted; doubles to nine digits, everything else exactly."""
    rows = pa.table(table.to_pyarrow_table()).select(list(spec.columns)).to_pylist()
    return sorted(json.dumps(row, default=plain, sort_keys=True) for row in map(rounded, rows))


def rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {n: f"{v:.9e}" if isinstance(v, float) else v for n, v in row.items()}


def plain(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
