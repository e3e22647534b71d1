"""What runs in pods only: waiting, the Spark server's command line, the chart's own test."""

from __future__ import annotations

import http.server
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crypto_pipeline import settings as settings_module
from crypto_pipeline.cluster import poll_to_gold, spark_executor, spark_server, wait_for
from crypto_pipeline.contract import topic
from crypto_pipeline.embedded import processes
from crypto_pipeline.embedded import spark_server as laptop
from crypto_pipeline.embedded.java import JavaHome
from crypto_pipeline.errors import ServiceError, SettingsError
from crypto_pipeline.lake.lease import Record
from crypto_pipeline.lake.lease_store import FolderStore
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.cluster import hasty_server
from crypto_pipeline_tests.conftest import ROOT, free_port
from crypto_pipeline_tests.waiting import wait_until

CANARY = 'canary"\\4711'
JAVA = JavaHome(path=Path("/usr/bin/java"), version=21, is_wheel=False)


def load(tmp_path: Path, **values: str) -> Settings:
    given = {"STATE_DIR": str(tmp_path), "MARKET": "simulated", **values}
    return settings_module.load(given, env_file=tmp_path / "no.env")


@pytest.fixture
def server() -> Iterator[int]:
    """Answers 404 to everything."""

    class Quiet(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found.server_address[1]
        found.shutdown()
        thread.join()


def test_a_probe_tells_a_port_that_serves_from_one_that_does_not(
    server: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wait_for.main(["127.0.0.1", str(server), "--once"]) == 0
    closed = free_port()
    assert wait_for.main(["127.0.0.1", str(closed), "--once"]) == 1
    assert f"127.0.0.1:{closed} does not serve: " in capsys.readouterr().err


def test_a_probe_with_a_path_wants_a_success(
    server: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wait_for.main(["127.0.0.1", str(server), "--once", "--path", "/server_info"]) == 1
    assert "HTTP 404" in capsys.readouterr().err


def test_the_spark_server_of_a_pod_is_the_laptops_with_the_charts_properties(
    tmp_path: Path,
) -> None:
    file = tmp_path / "spark.properties"
    file.write_text("# chart\nspark.master=local[4]\nspark.extra=a=b\n")
    settings = load(tmp_path, SPARK_CONNECT_TOKEN="t", SPARK_PROPERTIES_FILE=str(file))
    launch = laptop.launch(settings, JAVA)
    over = spark_server.properties(settings)
    found = spark_server.argv(launch, heap="3g", over=over)
    assert [a for a in found if a.startswith("-Dspark.master=")] == ["-Dspark.master=local[4]"]
    assert "-Dspark.extra=a=b" in found
    assert [a for a in found if a.startswith(("-Xmx", "-Xms"))] == ["-Xmx3g"]
    assert "-Dspark.sql.session.timeZone=UTC" in found
    assert found[0] == launch.argv[0]
    assert found[-1] == launch.argv[-1] == laptop.MAIN_CLASS


def test_a_line_that_is_no_property_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "spark.properties"
    file.write_text("spark.master local\n")
    with pytest.raises(SettingsError, match="Write name=value, one a line"):
        spark_server.parse_properties(file)


def test_the_lakes_user_is_in_a_file_of_the_server_alone(tmp_path: Path) -> None:
    settings = load(
        tmp_path, KAFKA_SECURITY="scram", KAFKA_LAKE_USERNAME="lake", KAFKA_LAKE_PASSWORD=CANARY
    )
    file = spark_server.jaas_file(settings)
    assert file is not None
    assert file.stat().st_mode & 0o777 == 0o600
    assert 'username="lake"' in file.read_text()
    assert 'password="canary\\"\\\\4711";' in file.read_text()
    assert spark_server.jaas_file(load(tmp_path)) is None


def test_the_charts_test_waits_for_its_own_poll_to_be_in_gold() -> None:
    since = datetime(2026, 11, 25, 10, 0, 30, tzinfo=UTC)
    polls = [
        {"started_at": "2026-11-25T10:00:05Z"},
        {"started_at": "2026-11-25T10:01:05Z", "poll_at": "2026-11-25T10:01:00Z", "published": 20,
         "venue": "binance"},
    ]  # fmt: skip
    summaries = [
        {"minute_at": "2026-11-25T09:59:00Z"},
        {"minute_at": "2026-11-25T10:00:00Z", "symbol": "BTC-USDT", "last": "1", "batch": 7},
    ]
    seen: list[str] = []

    def newest(name: str) -> dict[str, Any]:
        seen.append(name)
        rows = polls if name == topic.POLLS.name else summaries
        return rows.pop(0) if len(rows) > 1 else rows[0]

    poll_to_gold.PAUSE_SECONDS, before = 0.0, poll_to_gold.PAUSE_SECONDS
    try:
        found = poll_to_gold.wait_for_gold(newest, since=since, until=lambda: False)
    finally:
        poll_to_gold.PAUSE_SECONDS = before
    assert found == (
        "The poll of 2026-11-25T10:01:00Z (20 ticks of binance) is in gold: BTC-USDT at 1, batch 7."
    )
    assert seen.count(topic.SUMMARY.name) == 2


def test_the_charts_test_says_how_far_it_came() -> None:
    with pytest.raises(ServiceError, match=r"no poll was published\. Open Dagster"):
        poll_to_gold.wait_for_gold(lambda _: {}, since=datetime.now(UTC), until=lambda: True)


def test_the_jars_of_the_image_are_where_the_class_path_has_them(tmp_path: Path) -> None:
    shipped = tmp_path / "image" / "jars"
    (shipped / "spark").mkdir(parents=True)
    (shipped / "spark" / "delta.jar").touch()
    settings = load(tmp_path / "state")
    settings.state_dir.mkdir()
    for _ in range(2):  # a server that starts again finds its own link
        spark_server.lay_out_jars(settings, shipped)
    (folder,) = [part for part in laptop.class_path(settings).split(":") if "/state/" in part]
    assert [jar.name for jar in Path(folder).parent.glob("*.jar")] == ["delta.jar"]


def test_a_checkout_keeps_its_own_jars(tmp_path: Path) -> None:
    settings = load(tmp_path)
    spark_server.lay_out_jars(settings, tmp_path / "no image")
    assert not (tmp_path / "jars").is_symlink()


EXECUTOR = {
    "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@spark:7078",
    "SPARK_EXECUTOR_ID": "3",
    "SPARK_EXECUTOR_CORES": "2",
    "SPARK_EXECUTOR_MEMORY": "4g",
    "SPARK_APPLICATION_ID": "spark-1",
    "SPARK_EXECUTOR_POD_IP": "10.0.0.7",
    "SPARK_RESOURCE_PROFILE_ID": "0",
    "SPARK_EXECUTOR_POD_NAME": "executor-3",
    "SPARK_CONF_DIR": "/opt/spark/conf",
    **{f"SPARK_JAVA_OPT_{number}": f"-Dn={number}" for number in (10, 2, 0)},
}


def test_an_executor_is_started_as_spark_asks(tmp_path: Path) -> None:
    found = spark_executor.argv(Path("/usr/bin/java"), EXECUTOR)
    assert found[:6] == ("/usr/bin/java", "-Dn=0", "-Dn=2", "-Dn=10", "-Xms4g", "-Xmx4g")
    told = found[found.index(spark_executor.MAIN_CLASS) + 1 :]
    assert dict(zip(told[::2], told[1::2], strict=True)) == {
        "--driver-url": "spark://CoarseGrainedScheduler@spark:7078",
        "--executor-id": "3",
        "--cores": "2",
        "--app-id": "spark-1",
        "--hostname": "10.0.0.7",
        "--resourceProfileId": "0",
        "--podName": "executor-3",
    }
    (tmp_path / "s3").mkdir()
    (tmp_path / "spark").mkdir()
    path = spark_executor.class_path(EXECUTOR, tmp_path).split(":")
    assert path[0] == "/opt/spark/conf"
    assert path[2:] == [f"{tmp_path}/s3/*", f"{tmp_path}/spark/*"]


def test_an_executor_without_a_driver_is_a_sentence() -> None:
    with pytest.raises(SettingsError, match="SPARK_DRIVER_URL is not set"):
        spark_executor.argv(Path("/usr/bin/java"), {"SPARK_EXECUTOR_MEMORY": "1g"})


# Stands in for Java: says a version, then what it was started with, and waits.
STAND_IN = """#!/bin/sh
if [ "$1" = -version ]; then echo 'openjdk version "21.0.1"' >&2; exit 0; fi
{ echo "$$"; echo "$1"; pwd; echo "$SPARK_HOME"; echo "$GIVEN"; } > "$NOTE.part"
mv "$NOTE.part" "$NOTE"
while :; do sleep 0.1; done
"""


@contextmanager
def pod(folder: Path, name: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A pod's server on the lake of the folder, and the file where it says what it was given."""
    java, note, state = folder / "bin" / "java", folder / f"{name}.note", folder / name
    java.parent.mkdir(exist_ok=True)
    java.write_text(STAND_IN)
    java.chmod(0o700)
    environment = {
        "PATH": f"{java.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "GIVEN": "kept",
        "STATE_DIR": str(state), "LAKE_ROOT": str(folder / "lake"), "MARKET": "simulated",
        "SPARK_CONNECT_TOKEN": "t", "NOTE": str(note),
    }  # fmt: skip
    process = subprocess.Popen(
        (sys.executable, "-m", hasty_server.__name__),
        env=environment, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield process, note
    finally:
        process.kill()
        processes.kill(processes.family([process.pid], processes.running()))
        process.communicate()


def lease_of(folder: Path) -> Record:
    found = FolderStore(folder / "lake" / "_lease").newest()
    assert found is not None
    return found.record


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_pods_server_runs_under_the_lease_and_a_stop_ends_it_and_gives_the_lease_back(
    tmp_path: Path, number: signal.Signals
) -> None:
    with pod(tmp_path, "one") as (process, note):
        wait_until(note.exists, seconds=30)
        pid, epoch, folder, home, given = note.read_text().splitlines()
        assert epoch == "-Dspark.cryptopipeline.leaseEpoch=1"
        assert Path(folder) == laptop.folder(load(tmp_path, STATE_DIR=str(tmp_path / "one")))
        assert (home, given) == (str(laptop.pyspark_home()), "kept")
        assert (lease_of(tmp_path).epoch, lease_of(tmp_path).is_released) == (1, False)

        process.send_signal(number)

        # The stand-in has no handler: as a shell says it of a process that TERM ended.
        assert process.wait(10) == 128 + signal.SIGTERM
        assert int(pid) not in processes.running()
        assert lease_of(tmp_path).is_released


def test_the_server_of_a_second_pod_is_refused_with_the_first_ones_name(tmp_path: Path) -> None:
    with pod(tmp_path, "one") as (first, note):
        wait_until(note.exists, seconds=30)
        with pod(tmp_path, "two") as (second, other_note):
            _, said = second.communicate(timeout=30)

        assert second.returncode == 2
        assert f"Another server writes this lake: process {first.pid} on " in said
        assert "Traceback" not in said
        assert not other_note.exists()
        assert first.poll() is None
        assert lease_of(tmp_path).epoch == 1


def test_a_pods_server_that_ends_by_itself_tells_its_exit_code(tmp_path: Path) -> None:
    with pod(tmp_path, "one") as (process, note):
        wait_until(note.exists, seconds=30)
        os.kill(int(note.read_text().split()[0]), signal.SIGKILL)

        assert process.wait(10) == 128 + signal.SIGKILL
        assert lease_of(tmp_path).is_released
