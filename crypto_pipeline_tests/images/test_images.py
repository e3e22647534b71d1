"""The images made and started without an engine, part of `make prove`: minutes, and a gigabyte.

Every RUN and COPY of the Dockerfile is carried out; each process of the chart is started from the
result as the numeric user, with no capability, on a root that cannot be written. Not proven by
this: an engine's own build, a registry, another processor than this machine's, and the official
base image, for which a Debian of the same release stands in.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from crypto_pipeline_tests.conftest import ROOT, missing
from crypto_pipeline_tests.images import building
from crypto_pipeline_tests.images.building import Builder, call, mount_read_only
from crypto_pipeline_tests.images.dockerfile import ALIASES, TARGETS, config, stages
from crypto_pipeline_tests.images.running import Container, container
from crypto_pipeline_tests.proof import Proof, begin, is_full

pytestmark = [pytest.mark.integration, pytest.mark.prove, pytest.mark.timeout(3600)]

NAME = "images-without-an-engine"
SOURCES = ("dashboard", "deploy/docker", ".dockerignore")
STOP_SECONDS = 30.0
TOKEN = "a-token-of-the-test"
KUBERNETES = {
    "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@127.0.0.1:1",
    "SPARK_EXECUTOR_ID": "1",
    "SPARK_EXECUTOR_CORES": "1",
    "SPARK_EXECUTOR_MEMORY": "512m",
    "SPARK_APPLICATION_ID": "spark-1",
    "SPARK_EXECUTOR_POD_IP": "127.0.0.1",
    "SPARK_RESOURCE_PROFILE_ID": "0",
    "SPARK_EXECUTOR_POD_NAME": "executor-1",
    "SPARK_JAVA_OPT_0": "-Dspark.network.timeout=20s",
}
WRITE_AND_READ = """\
from crypto_pipeline import settings
from crypto_pipeline.lake.session import connect, disconnect
spark = connect(settings.load(), role="tests")
spark.range(10).write.format("delta").save("/lake/ten")
count = spark.read.format("delta").load("/lake/ten").count()
doubled = spark.range(3).mapInPandas(lambda parts: (p * 2 for p in parts), "id long")
print(count, doubled.agg({"id": "sum"}).first()[0])
disconnect(spark)
"""


@dataclass(frozen=True, kw_only=True)
class Images:
    """What was built, and the figures of the proof so far."""

    builder: Builder
    folder: Path
    figures: dict[str, dict[str, object]]
    failed_before: int

    def run(
        self,
        target: str,
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        command: tuple[str, ...] | None = None,
    ) -> AbstractContextManager[Container]:
        folder = self.folder / "run" / name
        folder.mkdir(parents=True)
        dagster = folder / "dagster"
        dagster.mkdir()
        shutil.copyfile(ROOT / "deploy" / "dagster.yaml", dagster / "dagster.yaml")
        return container(
            self.builder.build(target),
            config(target, stages()),
            folder=folder,
            env={"MARKET": "simulated", **(env or {})},
            command=command,
        )


@pytest.fixture(scope="module")
def proof() -> Proof:
    if not is_full():
        pytest.skip(
            "images are made by `make prove`; test_dockerfile.py has what is checked always"
        )
    if reason := building.why_not():
        missing(reason)
    return begin(NAME, reduced=0, full=len(TARGETS), also=SOURCES)


@pytest.fixture(scope="module")
def images(
    proof: Proof, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Images]:
    """All targets, built; everything is removed again, or pytest would keep gigabytes."""
    folder = tmp_path_factory.mktemp("images")
    builder, figures = Builder(folder=folder), dict[str, dict[str, object]]()
    for target in (*TARGETS, *ALIASES):
        begun = time.monotonic()
        builder.build(target)
        figures[target] = {"built_in_seconds": round(time.monotonic() - begun, 1)}
    failed = request.session.testsfailed
    yield Images(builder=builder, folder=folder, figures=figures, failed_before=failed)
    shutil.rmtree(folder, ignore_errors=True)


@cache
def inside(folders: tuple[Path, ...], script: str) -> str:
    """What a shell of this machine prints that sees the image at $root."""
    mounted = mount_read_only(list(folders), "$root")
    return call("unshare", "--mount", "sh", "-euc", f"root=$(mktemp -d)\n{mounted}{script}")


def installed(folders: tuple[Path, ...]) -> set[tuple[str, ...]]:
    """Python by pip, Debian by dpkg, jars by their sums: none of it by the image's own script."""
    pip = f'"{sys.executable}" -m pip list --format=json --path "$site"'
    site = 'for site in "$root"/opt/venv/lib/python3*/site-packages; do\n'
    found: set[tuple[str, ...]] = set()
    for each in json.loads(inside(folders, f"{site}{pip}\ndone")):
        found.add(
            ("pypi", each["name"].lower().replace("_", "-").replace(".", "-"), each["version"])
        )
    form = "${db:Status-Status} ${Package} ${Version}\\n"
    for line in inside(
        folders, f"dpkg-query --admindir=$root/var/lib/dpkg -W -f '{form}'"
    ).splitlines():
        status, name, version = line.split()
        if status == "installed":
            found.add(("deb", name, version))
    for line in inside(
        folders, 'find "$root/opt/venv" "$root/app" -name "*.jar" -exec sha256sum {} +'
    ).splitlines():
        found.add(("jar", line.split()[1].rpartition("/")[2], line.split()[0]))
    return found


def listed(folders: tuple[Path, ...]) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for each in json.loads(inside(folders, 'cat "$root/sbom/sbom.cdx.json"'))["components"]:
        if "hashes" in each:
            file = each["bom-ref"].rpartition("/")[2]
            found.add(("jar", file, each["hashes"][0]["content"]))
        elif each["type"] != "platform":
            kind = each["purl"].split(":")[1].partition("/")[0]
            found.add((kind, each["name"], each["version"]))
    return found


@pytest.mark.parametrize("target", TARGETS)
def test_the_bill_of_materials_is_what_is_installed(images: Images, target: str) -> None:
    folders = tuple(images.builder.build(target))
    seen = installed(folders)
    assert listed(folders) == seen
    counts = {kind: sum(each[0] == kind for each in seen) for kind in ("pypi", "deb", "jar")}
    assert counts["pypi"] > 40
    assert counts["deb"] > 50
    assert (counts["jar"] > 250) == (target == "spark-server")
    size = sum(int(inside((folders[0], f), f"du -sm {f} | cut -f1")) for f in folders[1:])
    images.figures[target] |= {**counts, "megabytes_over_the_base": size}


def test_the_jars_are_the_locked_ones(images: Images) -> None:
    locked = {
        line.split()[2]
        for line in (ROOT / "jars.lock").read_text().splitlines()
        if line.startswith(("spark ", "s3 "))
    }
    text = inside(tuple(images.builder.build("spark-server")), 'sha256sum "$root"/app/jars/*/*.jar')
    assert {line.split()[0] for line in text.splitlines()} == locked


def assert_serves(
    images: Images, target: str, running: Container, *, name: str, seconds: float
) -> None:
    """It answers its health check, holds no right, writes in volumes alone, and stops when told."""
    images.figures[target] |= {
        f"{name}_healthy_after_seconds": round(running.wait_until_healthy(seconds=seconds), 1)
    }
    status = running.status()
    assert status["Uid"].split() == ["10001"] * 4
    assert (int(status["CapEff"], 16), int(status["CapBnd"], 16)) == (0, 0)
    assert status["NoNewPrivs"] == "1"
    for path in ("/", "/app", "/opt/venv", "/etc", "/usr/local", "/sbom"):
        assert "Read-only file system" in running.call("touch", f"{path}/x").stderr
    for path in ("/state", "/lake", "/dagster", "/tmp"):
        assert running.call("touch", f"{path}/x").returncode == 0
    for tool in ("gcc", "cc", "g++", "ld", "make", "pip", "pip3"):
        assert running.call("sh", "-c", f"command -v {tool}").returncode != 0


def note_stop(images: Images, target: str, running: Container, *, name: str) -> None:
    took = running.stop(seconds=STOP_SECONDS)
    images.figures[target] |= {f"{name}_stopped_after_seconds": round(took, 1)}


def test_the_page_serves(images: Images) -> None:
    with images.run("dashboard", name="dashboard") as running:
        assert_serves(images, "dashboard", running, name="dashboard", seconds=60)
        note_stop(images, "dashboard", running, name="dashboard")


def test_the_code_server_serves_and_the_command_line_is_there(images: Images) -> None:
    with images.run("pipeline", name="code-server", env={"SPARK_CONNECT_TOKEN": TOKEN}) as running:
        assert_serves(images, "pipeline", running, name="code_server", seconds=120)
        assert "A market-data lakehouse" in running.call("crypto-pipeline", "--help").stdout
        added = running.call("python", "-c", "import dagster_postgres, psycopg2")
        assert added.returncode == 0, added.stderr
        migrated = running.call("dagster", "instance", "migrate")
        assert migrated.returncode == 0, migrated.stderr
        note_stop(images, "pipeline", running, name="code_server")


@pytest.mark.parametrize(
    ("name", "command", "probe"),
    [
        (
            "webserver",
            ("dagster-webserver", "--host=0.0.0.0", "--port=3000", "--empty-workspace"),
            ("3000", "--path", "/server_info"),
        ),
        ("metrics", ("python", "-m", "crypto_pipeline.observed"), ("9464", "--path", "/metrics")),
        ("simulator", ("python", "-m", "crypto_pipeline.simulator"), ("8900",)),
    ],
)
def test_the_other_processes_of_the_chart_serve(
    images: Images, name: str, command: tuple[str, ...], probe: tuple[str, ...]
) -> None:
    asked = ("python", "-m", "crypto_pipeline.cluster.wait_for", "127.0.0.1", *probe)
    with images.run("pipeline", name=name, command=command) as running:
        done = running.call(*asked, "--timeout", "60")
        assert done.returncode == 0, f"{done.stderr}\n{running.log.read_text()[-2000:]}"
        note_stop(images, "pipeline", running, name=name)


def test_the_daemon_beats(images: Images) -> None:
    command = ("dagster-daemon", "run", "--empty-workspace")
    with images.run("pipeline", name="daemon", command=command) as running:
        begun = time.monotonic()
        while running.call("dagster-daemon", "liveness-check").returncode != 0:
            assert running.outer.poll() is None, running.log.read_text()[-2000:]
            assert time.monotonic() - begun < 180, running.log.read_text()[-2000:]
        note_stop(images, "pipeline", running, name="daemon")


def test_spark_serves_and_writes_a_table(images: Images) -> None:
    env = {"SPARK_CONNECT_TOKEN": TOKEN, "SPARK_HEAP": "1g"}
    with images.run("spark-server", name="spark", env=env) as running:
        assert_serves(images, "spark-server", running, name="spark", seconds=120)
        done = running.call("python", "-c", WRITE_AND_READ)
        assert done.stdout.split() == ["10", "6"], (
            f"{done.stderr}\n{running.log.read_text()[-3000:]}"
        )
        assert "000000000001.json" in running.call("ls", "/lake/_lease").stdout
        note_stop(images, "spark-server", running, name="spark")


def test_an_executor_starts_and_says_that_there_is_no_driver(images: Images) -> None:
    command = ("executor",)
    with images.run("spark-server", name="executor", env=KUBERNETES, command=command) as running:
        running.outer.wait(timeout=120)
        assert "127.0.0.1:1" in running.log.read_text()


def test_every_step_was_carried_out(
    images: Images, proof: Proof, request: pytest.FixtureRequest
) -> None:
    """The last: what was seen above is kept, if all of it was seen."""
    assert request.session.testsfailed == images.failed_before
    runs = sum(step.word == "RUN" for stage in stages().values() for step in stage.steps)
    assert images.builder.runs == runs
    assert set(images.builder.made) == set(stages())
    text = (ROOT / "deploy" / "docker" / "Dockerfile").read_bytes()
    proof.record(
        run_steps=runs,
        dockerfile_sha256=hashlib.sha256(text).hexdigest(),
        base=f"debootstrap {building.SUITE} on {machine()}, in place of the official image",
        **{target: figures for target, figures in images.figures.items() if target in TARGETS},
    )


def machine() -> str:
    return subprocess.run(
        ["uname", "-m"], capture_output=True, text=True, check=True
    ).stdout.strip()
