"""What is written for the services, without starting any."""

from __future__ import annotations

import configparser
import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crypto_pipeline.embedded import (
    broker,
    dagster_home,
    jars,
    services,
    spark_guard,
    spark_server,
    supervision,
)
from crypto_pipeline.embedded.java import JavaHome
from crypto_pipeline.embedded.launch import PROJECT_ROOT
from crypto_pipeline.settings import Settings, spark_token

JAVA = JavaHome(path=Path("/usr/bin/java"), version=17, is_wheel=False)


@pytest.fixture
def settings(make_settings: Callable[..., Settings], tmp_path: Path) -> Settings:
    """A folder whose name holds what supervisord gives a meaning to."""
    made = replace(make_settings(), state_dir=tmp_path / "50% of; my #data")
    made.home.mkdir(parents=True)
    spark_server.prepare(made)
    return made


def test_what_needs_a_service_starts_after_it(settings: Settings) -> None:
    names: list[str] = []
    for service in services.table(settings, JAVA):
        assert set(service.after) <= set(names), service.name
        names.append(service.name)

    assert names == [
        *("broker", "spark", "simulator", "code-server", "dagster", "dagster-daemon"),
        *("dashboard", "metrics"),
    ]


def test_a_live_market_needs_no_simulator(settings: Settings) -> None:
    live = replace(settings, market="live")
    live.home.mkdir()

    table = services.table(live, JAVA)

    assert "simulator" not in {service.name for service in table}
    assert "simulator" not in {name for service in table for name in service.after}


def test_every_listener_is_on_loopback(settings: Settings) -> None:
    kafka = broker.properties(settings)
    spark = spark_server.configuration(settings)

    listeners = (kafka["listeners"] + "," + kafka["advertised.listeners"]).split(",")
    assert {one.split("://")[1].split(":")[0] for one in listeners} == {"127.0.0.1"}
    assert spark["spark.connect.grpc.binding.address"] == "127.0.0.1"
    assert spark["spark.driver.bindAddress"] == "127.0.0.1"


def test_the_spark_token_is_private_and_no_argument(settings: Settings) -> None:
    token = spark_token(settings).reveal()
    launch = spark_server.launch(settings, JAVA)

    assert len(token) >= 32
    assert stat.S_IMODE(settings.spark_token_file.stat().st_mode) == 0o600
    assert token in launch.env.values()
    assert token not in " ".join(launch.argv)
    assert token not in repr(launch)
    guard = spark_guard.launch(settings, launch)
    assert token in guard.env.values()
    assert token not in " ".join(guard.argv)


def test_supervisord_reads_what_is_written(settings: Settings) -> None:
    table = services.table(settings, JAVA)

    file = supervision.write_configuration(settings, table)

    parser = configparser.RawConfigParser(inline_comment_prefixes=(" ;", " #"))
    parser.read(file)
    assert {f"program:{service.name}" for service in table} <= set(parser.sections())
    for service in table:
        program = parser[f"program:{service.name}"]
        assert program["stopasgroup"] == program["killasgroup"] == "true"
        launch = file.parent / f"{service.name}.json"
        assert json.loads(launch.read_text())["argv"] == list(service.launch.argv)
        assert stat.S_IMODE(launch.stat().st_mode) == 0o600


def test_a_long_path_gets_a_socket_in_a_short_private_folder(settings: Settings) -> None:
    long = replace(settings, state_dir=settings.state_dir / ("deep" * 30))

    path = supervision.socket_path(long)

    assert len(str(path)) < 100
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.parent.rmdir()


@pytest.fixture
def in_store(make_settings: Callable[..., Settings]) -> Settings:
    made = make_settings(
        LAKE_ROOT="s3a://lake/here",
        AWS_ENDPOINT_URL="http://127.0.0.1:9000",
        AWS_ACCESS_KEY="AKIA-short",
        AWS_SECRET_KEY="short-secret",
    )
    made.home.mkdir()
    spark_server.prepare(made)
    return made


def test_only_a_lake_in_a_store_asks_for_its_jars(settings: Settings, in_store: Settings) -> None:
    assert {jar.group for jar in jars.needed(settings)} == {"broker", "spark"}
    assert {jar.group for jar in jars.needed(in_store)} == {"broker", "spark", "s3"}
    assert sum(jar.size for jar in jars.needed(in_store) if jar.group == "s3") < 20_000_000
    assert "/s3/*" not in spark_server.class_path(settings)
    assert "/s3/*" in spark_server.class_path(in_store)


def test_the_keys_of_a_store_are_in_the_servers_environment_and_nowhere_else(
    in_store: Settings,
) -> None:
    launches = {service.name: service.launch for service in services.table(in_store, JAVA)}
    dagster_home.prepare(in_store)
    written = (dagster_home.folder(in_store) / "dagster.yaml").read_text()

    for name in ("spark", "code-server", "dagster", "dagster-daemon"):
        assert launches[name].env["AWS_ACCESS_KEY_ID"] == "AKIA-short"
        assert launches[name].env["AWS_SECRET_ACCESS_KEY"] == "short-secret"
    for name in ("broker", "simulator", "dashboard", "metrics"):
        assert "AWS_SECRET_ACCESS_KEY" not in launches[name].env
    shown = f"{launches} {[launch.argv for launch in launches.values()]} {written}"
    assert "short-secret" not in shown
    assert "AKIA-short" not in shown


def test_a_role_is_found_by_the_providers_own_chain(in_store: Settings) -> None:
    role = replace(
        in_store, store=replace(in_store.store, access_key_id=None, secret_access_key=None)
    )

    name = "spark.hadoop.fs.s3a.aws.credentials.provider"
    assert "EnvironmentVariable" in spark_server.configuration(in_store)[name]
    assert "DefaultCredentialsProvider" in spark_server.configuration(role)[name]


def test_the_output_of_runs_goes_beside_a_lake_in_a_store(
    settings: Settings, in_store: Settings
) -> None:
    import yaml

    text = (PROJECT_ROOT / "deploy" / "dagster.yaml").read_text()
    kept = yaml.safe_load(dagster_home.with_compute_logs(text, in_store))["compute_logs"]
    away = yaml.safe_load(dagster_home.with_compute_logs(text, settings))["compute_logs"]

    assert away["class"] == "NoOpComputeLogManager"
    assert kept["class"] == "S3ComputeLogManager"
    assert (kept["config"]["bucket"], kept["config"]["prefix"]) == ("lake", "here/_dagster")
    assert kept["config"]["endpoint_url"] == {"env": "AWS_ENDPOINT_URL"}
    assert kept["config"]["region"] == {"env": "AWS_REGION"}
