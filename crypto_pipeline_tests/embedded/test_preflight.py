from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crypto_pipeline.embedded import preflight, up_lock
from crypto_pipeline.embedded.java import JavaHome
from crypto_pipeline.embedded.services import Service, table
from crypto_pipeline.embedded.spark_server import prepare as prepare_spark
from crypto_pipeline.errors import MachineError
from crypto_pipeline.settings import Settings

JAVA = JavaHome(path=Path("/usr/bin/java"), version=17, is_wheel=False)


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    made = make_settings()
    made.home.mkdir(parents=True)
    prepare_spark(made)
    return made


def services(settings: Settings) -> tuple[Service, ...]:
    return table(settings, JAVA)


def test_free_ports_pass(settings: Settings) -> None:
    preflight.check_ports(services(settings))


def test_a_used_port_names_the_service_and_the_setting(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", settings.dashboard_port)):
        expected = (
            f"Port {settings.dashboard_port}, for the dashboard, is in use by another program. "
            "Stop that program, or set DASHBOARD_PORT to a free port."
        )
        with pytest.raises(MachineError, match=expected):
            preflight.check_ports(services(settings))


def test_one_port_for_two_services_is_refused(settings: Settings) -> None:
    twice = replace(settings, dashboard_port=settings.dagster_port)

    with pytest.raises(MachineError, match="DASHBOARD_PORT and DAGSTER_PORT are both"):
        preflight.check_ports(services(twice))


def test_a_full_disk_is_one_sentence(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "FREE_GB", 10_000_000)

    with pytest.raises(MachineError, match="GB free and the stack needs"):
        preflight.check_folder(settings)


def test_a_state_folder_under_a_file_is_one_sentence(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(MachineError, match="Cannot write to the state folder"):
        preflight.check_folder(replace(settings, state_dir=tmp_path / "file" / "state"))


def test_a_second_up_is_told_the_pid_of_the_first(settings: Settings) -> None:
    code = "import sys; from crypto_pipeline.embedded.up import up; from crypto_pipeline import "
    code += "settings; sys.exit(up(settings.load()))"
    environment = {**os.environ, **settings.environment()}
    with up_lock.hold(settings):
        assert up_lock.is_held(settings)
        second = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )

    assert second.returncode == 2
    assert f"already runs in this folder as process {os.getpid()}" in second.stdout
    assert not up_lock.is_held(settings)
