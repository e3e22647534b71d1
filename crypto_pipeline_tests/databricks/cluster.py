"""A cluster of the fake workspace: the runtime's Python in a process, with our wheel installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from crypto_pipeline.embedded import java
from crypto_pipeline_tests.conftest import GUARD, ROOT, missing
from crypto_pipeline_tests.store.server import KEYS

DEPLOY = ROOT / "deploy" / "databricks"
MAIN = Path(__file__).with_name("cluster_main.py")
# What the runtime sets by itself, and, as in our own server, little parallelism for small tables.
SPARK = {
    "spark.master": "local[2]",
    "spark.driver.memory": "1g",
    "spark.driver.host": "localhost",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.ui.enabled": "false",
    # A bucket is s3:// there, and s3a:// in open Hadoop.
    "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
    "spark.hadoop.fs.s3a.path.style.access": "true",
    "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
    "spark.hadoop.fs.s3a.aws.credentials.provider": (
        "com.amazonaws.auth.EnvironmentVariableCredentialsProvider"
    ),
}


def runtime() -> Path:
    """The runtime's environment; a test that needs it is left out where it was not made."""
    asked = ["sh", str(DEPLOY / "runtime.sh"), "--where"]
    folder = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    if not (folder / "complete").exists():
        missing("the Databricks runtime is not here: `sh deploy/databricks/runtime.sh`")
    return folder


def build_wheel(folder: Path, python: Path) -> Path:
    """Our wheel, as the bundle builds it: without what an earlier build has left."""
    shutil.rmtree(DEPLOY / "build", ignore_errors=True)
    command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w"]
    subprocess.run([str(python), *command, str(folder), str(DEPLOY)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install_wheel(wheel: Path, folder: Path, python: Path) -> None:
    """Into a folder of its own beside the runtime's packages."""
    command = ["-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([str(python), *command, str(folder), str(wheel)], check=True)


def s3_conf(runtime: Path, endpoint: str, folder: Path) -> dict[str, str]:
    """Spark's settings of a cluster that reaches the tests' store."""
    files = sorted((runtime / "jars").rglob("*.jar"))
    return {
        **SPARK,
        "spark.jars": ",".join(map(str, files)),
        "spark.hadoop.fs.s3a.endpoint": endpoint,
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder / "scratch"),
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={folder}",
    }


@dataclass
class Cluster:
    """Runs one task at a time, each to its end."""

    process: subprocess.Popen[str]
    answers: IO[str]

    def run(self, order: Mapping[str, Any]) -> Mapping[str, Any]:
        """The task's answer: `error` is None when it ended well."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{json.dumps(order)}\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> Mapping[str, Any]:
        line = self.answers.readline()
        if not line:
            return {"error": "the driver died", "trace": ""}
        found: Mapping[str, Any] = json.loads(line)
        return found


@contextmanager
def cluster(
    python: Path, packages: Path, *, folder: Path, conf: Mapping[str, str]
) -> Iterator[Cluster]:
    """Start a driver and wait until its session is there; without `conf` it has no Spark."""
    folder.mkdir(parents=True, exist_ok=True)
    reading, writing = os.pipe()
    start = {"answers": writing, "mount": str(folder), "conf": dict(conf)}
    home = java.find().path.resolve().parent.parent
    with (folder / "driver.log").open("w") as log, os.fdopen(reading) as answers:
        process = subprocess.Popen(
            [str(python), str(MAIN), json.dumps(start)],
            stdin=subprocess.PIPE,
            stderr=log,
            pass_fds=[writing],
            cwd=folder,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "JAVA_HOME": str(home),
                "PYTHONPATH": os.pathsep.join([str(packages), str(GUARD)]),
                "PYSPARK_PYTHON": str(python),
                "SPARK_LOCAL_IP": "127.0.0.1",
                "TZ": "UTC",
                **KEYS,
            },
        )
        os.close(writing)
        try:
            running = Cluster(process, answers)
            assert running.answer() == {}, (folder / "driver.log").read_text()[-3000:]
            yield running
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
