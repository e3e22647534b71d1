"""The stack as real processes when it is killed or cannot start, and who may reach its servers.

What a whole one heals and leaves behind is in `browser/test_screens.py`: a start takes its time.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import uuid
from collections.abc import Callable

import grpc
import pytest
from pyspark.sql import SparkSession
from pyspark.sql.connect.proto import ConfigRequest, SparkConnectServiceStub, UserContext

from crypto_pipeline.embedded import broker as broker_module
from crypto_pipeline.embedded import processes
from crypto_pipeline.embedded.running import last_lines
from crypto_pipeline.settings import Settings, spark_token
from crypto_pipeline_tests.embedded.stack import (
    UP_SECONDS,
    is_taken,
    open_ports,
    other_addresses,
    running,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """One folder for all that goes wrong: each case begins with what the one before it left."""
    return make_settings()


def test_what_a_killed_up_left_is_ended_by_the_next_and_a_killed_supervisor_ends_everything(
    settings: Settings,
) -> None:
    with running(settings) as up:
        up.wait_for(r"up\s+broker")
        first = up.members()
        up.process.kill()
        up.process.wait()
        with running(settings) as second:
            second.wait_for(r"up\s+broker")
            assert processes.alive(first) == ()
            members = second.members()
            os.kill(second.pid_of("supervisor.supervisord"), signal.SIGKILL)
            assert second.process.wait(30) == 2
            assert "The process supervisor was killed" in second.text()
            assert processes.alive(members) == ()


def test_a_service_that_cannot_start_ends_everything_with_its_last_lines(
    settings: Settings,
) -> None:
    meta = settings.home / "kafka" / "log" / "meta.properties"
    if not meta.exists():
        with running(settings) as up:
            up.wait_for(r"up\s+broker")
    meta.write_text("version=1\ncluster.id=?\n")

    with running(settings) as up:
        assert up.process.wait(UP_SECONDS) == 2

    assert re.search(r"The broker ends at once\. The end of \S*broker\.log", up.text())
    assert last_lines(settings.home / "logs" / "broker.log", 1).strip() in up.text()
    assert open_ports(settings) == []


def test_the_broker_answers_on_loopback_only(broker: Settings) -> None:
    assert broker_module.is_ready(broker)
    for address in other_addresses():
        assert not is_taken(address, broker.kafka_port)


def test_a_listener_on_all_addresses_would_be_noticed_and_one_on_loopback_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        for address in other_addresses():
            assert not is_taken(address, server.getsockname()[1])
    with socket.create_server(("0.0.0.0", 0)) as server:
        for address in other_addresses():
            assert is_taken(address, server.getsockname()[1])


@pytest.mark.spark
def test_spark_refuses_a_client_without_the_token(servers: Settings) -> None:
    assert asked(servers, spark_token(servers).reveal()) == "answered"
    assert asked(servers, None).startswith("UNAUTHENTICATED")
    assert asked(servers, "wrong").startswith("UNAUTHENTICATED")


def asked(settings: Settings, token: str | None) -> str:
    """What becomes of a question; once and without the client, which asks on for minutes."""
    read = ConfigRequest.Get(keys=["spark.sql.session.timeZone"])
    question = ConfigRequest(
        session_id=str(uuid.uuid4()),
        user_context=UserContext(user_id="a stranger"),
        operation=ConfigRequest.Operation(get=read),
    )
    shown = [] if token is None else [("authorization", f"Bearer {token}")]
    with grpc.insecure_channel(f"127.0.0.1:{settings.spark_port}") as channel:
        try:
            answer = SparkConnectServiceStub(channel).Config(question, metadata=shown, timeout=60)
        except grpc.RpcError as refusal:
            return f"{refusal.code().name}: {refusal.details()}"
    return "answered" if answer.pairs[0].value else "an empty answer"


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
