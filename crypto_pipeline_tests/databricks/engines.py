"""What the tests do with the two engines: a wheel task, a notebook, the same steps by ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from crypto_pipeline.databricks.steps import BY_NAME, run_step
from crypto_pipeline.databricks.wheel import ENTRY_POINT, PACKAGE
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.table import Engine, Table
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.databricks.cluster import DEPLOY, Cluster
from crypto_pipeline_tests.databricks.workspace import FakeRun, Workspace
from crypto_pipeline_tests.store.server import BUCKET, KEYS, Store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PREFIX = "databricks"
# The open one that stands in for Unity Catalog: the same statements, names in three parts.
CATALOG = "spark_catalog"


@dataclass
class Engines:
    """A cluster in a workspace, our own Spark, and the settings that lead to both."""

    cluster: Cluster
    workspace: Workspace
    settings: Settings
    store: Store
    spark: SparkSession

    def __post_init__(self) -> None:
        self.workspace.execute = self._execute

    def _execute(self, run: FakeRun) -> Mapping[str, Any]:
        task = run.task.python_wheel_task
        assert task is not None
        is_serverless = run.task.existing_cluster_id is None
        return self.cluster.run({**task.as_dict(), "serverless": is_serverless})

    def wheel_task(self, steps: str, prefix: str) -> None:
        """Started as the bundle's job on serverless compute starts it, without Dagster."""
        parameters = [f"--steps={steps}", f"--lake-root=s3://{BUCKET}/{prefix}"]
        parameters.append("--market=simulated")
        order = {"package_name": PACKAGE, "entry_point": ENTRY_POINT, "parameters": parameters}
        answer = self.cluster.run({**order, "serverless": True})
        assert answer["error"] is None, answer["trace"]

    def notebook(self, name: str, prefix: str) -> None:
        """On the cluster, on the names of a catalog."""
        parameters = {
            "lake_root": f"s3://{BUCKET}/{prefix}",
            "market": "simulated",
            "catalog": CATALOG,
        }
        path = str(DEPLOY / "notebooks" / f"{name}.py")
        answer = self.cluster.run({"path": path, "parameters": parameters})
        assert answer["error"] is None, answer["trace"]

    def lake(self, prefix: str, *, engine: Engine = "spark") -> Lake:
        """The bucket through our Spark, as whoever is said."""
        root = f"s3a://{BUCKET}/{prefix}"
        return Lake(spark=self.spark, root=root, market="simulated", engine=engine)

    def local(self, folder: Path) -> Lake:
        """A lake of our own in a folder."""
        return Lake(spark=self.spark, root=str(folder), market="simulated")

    def download(self, table: Table, prefix: str, to: Lake) -> None:
        """A table's files and log as they are, into a lake in a folder."""
        client = boto3.client(
            "s3",
            endpoint_url=self.store.url,
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            region_name="us-east-1",
        )
        pages = client.get_paginator("list_objects_v2")
        start = f"{prefix}/{table.key}/"
        for page in pages.paginate(Bucket=BUCKET, Prefix=start):
            # Spark marks folders by objects whose names end so.
            for key in (o["Key"] for o in page["Contents"] if not o["Key"].endswith("/")):
                file = Path(to.path(table)) / key.removeprefix(start)
                file.parent.mkdir(parents=True, exist_ok=True)
                client.download_file(BUCKET, key, str(file))


def follow(ours: Lake, theirs: Lake, steps: Sequence[str]) -> None:
    """Steps after raw by our Spark, each at the instant that the other engine took for now."""
    for name in steps:
        at = pinned(theirs, name) if name in BY_NAME else None
        run_step(runner_of(ours, at=at), name)


def runner_of(lake: Lake, *, at: datetime | None = None) -> StageRunner:
    runner = StageRunner(lake=lake, read_ends=_never, kafka_options={})
    if at is None:
        return runner
    return StageRunner(lake=lake, read_ends=_never, kafka_options={}, now=lambda: at)


def pinned(lake: Lake, stage: str) -> datetime:
    """What the stage's newest batch took for now."""
    record = log.last_commit(lake.path(BY_NAME[stage].primary))
    assert record is not None
    return datetime.fromisoformat(record.ranges["pinned"]["now"])


def _never() -> Any:
    raise AssertionError("no stage after raw asks the topics")
