"""What is written for the services, without starting any."""

from __future__ import annotations

import configparser
import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crypto_pipeline.embedded import broker, services, spark_server, supervision
from crypto_pipeline.embedded.java import JavaHome
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
