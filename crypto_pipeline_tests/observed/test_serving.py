"""Servers that were really started serve exactly the declared names, and health with its status."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from crypto_pipeline.embedded import services
from crypto_pipeline.embedded.java import JavaHome
from crypto_pipeline.embedded.running import start, stop, wait_until_ready
from crypto_pipeline.errors import MachineError
from crypto_pipeline.observed.declared import DECLARED
from crypto_pipeline.observed.health import Health
from crypto_pipeline.observed.serving import serve
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.observed.pages import names, values

JAVA = JavaHome(path=Path("/usr/bin/java"), version=17, is_wheel=False)
PAGE = b"# TYPE one gauge\none 1.0\n"

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def running(make_settings: Callable[..., Settings]) -> Iterator[Settings]:
    """The processes of ours as `make up` starts them, without those that need a Java."""
    settings = make_settings(SYMBOLS="BTC-USDT", SPARK_CONNECT_TOKEN="not-used")
    settings.home.mkdir(parents=True)
    ours = ("simulator", "metrics", "dashboard")
    table = [one for one in services.table(settings, JAVA) if one.name in ours]
    processes = [start(service, settings) for service in table]
    try:
        for service, process in zip(table, processes, strict=True):
            wait_until_ready(service, process, settings)
        yield settings
    finally:
        stop(processes)


def ask(port: int, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False, timeout=10)


def port_of(process: str, settings: Settings) -> int:
    return {
        "ingestion": settings.metrics_port,
        "simulator": settings.simulator_port,
        "dashboard": settings.dashboard_metrics_port,
    }[process]


@pytest.mark.parametrize("process", DECLARED)
def test_a_running_process_serves_exactly_its_declared_names(
    running: Settings, process: str
) -> None:
    answer = ask(port_of(process, running), "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert names(answer.text) == [metric.name for metric in DECLARED[process]]
    helps = {line.split(" ", 3)[2]: line.split(" ", 3)[3] for line in help_lines(answer.text)}
    assert helps == {metric.name: metric.help for metric in DECLARED[process]}


def help_lines(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("# HELP")]


@pytest.mark.parametrize("process", DECLARED)
def test_a_process_that_has_just_begun_is_well(running: Settings, process: str) -> None:
    answer = ask(port_of(process, running), "/healthz")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    content = answer.json()
    assert (content["status"], content["problems"]) == ("ok", [])


def test_the_simulator_counts_what_it_is_asked(running: Settings) -> None:
    port = running.simulator_port
    ask(port, "/api/v3/klines?symbol=NOPE&interval=1m")
    httpx.post(
        f"http://127.0.0.1:{port}/faults",
        json={"kind": "500", "count": 3, "venue": "kraken"},
        trust_env=False,
    )
    ask(port, "/kraken/0/public/Time")
    found = values(ask(port, "/metrics").text)
    assert found["simulator_requests_total 400 binance"] == 1
    assert found["simulator_requests_total 500 kraken"] == 1
    assert found["simulator_faults_waiting"] == 2
    assert found["simulator_speed_ratio"] == 1
    assert found["simulator_symbols"] >= 1


def test_a_visit_of_the_page_is_seen_beside_it(running: Settings) -> None:
    """Without a broker the reader of the first visit is away, and its health says so."""
    visit = BackMsg()
    visit.rerun_script.query_string = ""
    address = f"ws://127.0.0.1:{running.dashboard_port}/_stcore/stream"
    with connect(address, subprotocols=[Subprotocol("streamlit")], proxy=None) as page:
        page.send(visit.SerializeToString())
        until = time.monotonic() + 30
        health = ask(running.dashboard_metrics_port, "/healthz")
        while health.status_code == 200 and time.monotonic() < until:
            health = ask(running.dashboard_metrics_port, "/healthz")
    assert health.status_code == 503
    problem = health.json()["problems"][0]
    assert "The reader of the topics is away since" in problem
    assert f"127.0.0.1:{running.kafka_port}" in problem


def test_ill_health_is_503_with_its_sentences_and_other_paths_are_none() -> None:
    sick = Health(problems=("The spool is full.",), facts={"polls": 3})
    with serve("127.0.0.1", 0, page=lambda: PAGE, health=lambda: sick) as port:
        answer = ask(port, "/healthz?verbose=1")
        assert answer.status_code == 503
        assert answer.json() == {"status": "unwell", "problems": ["The spool is full."], "polls": 3}
        assert ask(port, "/metrics").content == PAGE
        assert ask(port, "/etc/passwd").status_code == 404
        posted = httpx.post(f"http://127.0.0.1:{port}/metrics", trust_env=False)
        assert posted.status_code == 501
    with pytest.raises(httpx.ConnectError):
        ask(port, "/metrics")


def test_a_taken_port_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = pytest.raises(MachineError, match=f"127.0.0.1:{port} .*Set METRICS_HOST")
        with refused, serve("127.0.0.1", port, page=lambda: PAGE, health=Health):
            pass
