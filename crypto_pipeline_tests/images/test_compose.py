"""deploy/compose.yaml as it is written: the same images, names, ports and limits as elsewhere."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from crypto_pipeline.embedded import services as laptop
from crypto_pipeline.embedded.java import JavaHome
from crypto_pipeline.settings import load
from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.images.dockerfile import config, stages

FILE = ROOT / "deploy" / "compose.yaml"
# What `make up` calls each service.
LAPTOP = {
    "kafka": "broker", "webserver": "dagster", "daemon": "dagster-daemon", "spark": "spark",
    "simulator": "simulator", "code-server": "code-server", "dashboard": "dashboard",
    "metrics": "metrics",
}  # fmt: skip
# Compose's own, beside the settings of .env.example.
OWN = {"BASE", "KAFKA_IMAGE", "TAG"}


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


OURS = sorted(name for name in services() if name != "kafka")


def test_it_runs_what_make_up_runs(tmp_path: Any) -> None:
    values = {"STATE_DIR": str(tmp_path), "MARKET": "simulated", "SPARK_CONNECT_TOKEN": "t"}
    settings = load(values, env_file=tmp_path / "no")
    java = JavaHome(path=tmp_path / "java", version=21, is_wheel=False)
    names = {service.name for service in laptop.table(settings, java)}
    assert {LAPTOP[name] for name in services() if name != "pod"} == names


@pytest.mark.parametrize("name", OURS)
def test_every_service_of_ours_is_built_from_a_target_and_held_as_a_pod_is(name: str) -> None:
    made = services()[name]
    target = made["build"]["target"]
    assert target in stages()
    assert (FILE.parent / made["build"]["context"]).resolve() == ROOT
    assert (ROOT / made["build"]["dockerfile"]).is_file()
    assert made["user"] == config(target, stages()).user
    assert made["read_only"] is True
    assert made["cap_drop"] == ["ALL"]
    assert made["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "entrypoint"} & set(made)


def test_every_name_that_is_asked_for_is_a_setting() -> None:
    named = set(
        re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    )
    asked = set(re.findall(r"\$\{([A-Z_]+)", FILE.read_text()))
    assert asked - OWN <= named
    given = {key for name in OURS for key in services()[name].get("environment", {})}
    assert given <= named


def test_defaults_of_ports_are_those_of_the_settings(tmp_path: Any) -> None:
    settings = load({"STATE_DIR": str(tmp_path), "MARKET": "simulated"}, env_file=tmp_path / "no")
    for name, port in re.findall(r"\$\{([A-Z_]+_PORT):-(\d+)\}", FILE.read_text()):
        assert getattr(settings, name.lower()) == int(port)


def test_everything_is_published_on_loopback_alone() -> None:
    ports = [port for made in services().values() for port in made.get("ports", [])]
    assert len(ports) == 5
    assert all(re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z_]+:-\d+\}:\d+", port) for port in ports)
    assert not [name for name in services() if name != "pod" and "ports" in services()[name]
                and services()[name].get("network_mode")]  # fmt: skip


def test_whatever_is_written_is_a_volume_that_is_declared() -> None:
    writable = {"/state", "/lake", "/dagster", "/var/lib/kafka/data"}
    for made in services().values():
        for volume in made.get("volumes", []):
            source, target, *mode = volume.split(":")
            if source.startswith("./"):
                assert mode == ["ro"]
                assert (FILE.parent / source).is_file()
            else:
                assert source in compose()["volumes"]
                assert target in writable


@pytest.mark.parametrize("name", sorted(services()))
def test_every_service_is_asked_how_it_is(name: str) -> None:
    made = services()[name]
    if name == "pod":
        assert made["healthcheck"] == {"disable": True}
    elif "healthcheck" in made:
        assert made["healthcheck"]["test"][0] == "CMD"
    else:
        assert "command" not in made
        assert config(made["build"]["target"], stages()).health


def test_what_is_waited_for_can_be_healthy() -> None:
    for made in services().values():
        for other, condition in made.get("depends_on", {}).items():
            assert other in services()
            if condition["condition"] == "service_healthy":
                assert other != "pod"


def test_no_secret_is_in_the_file_and_the_secrets_own_is_never_committed() -> None:
    assert not re.search(r"(TOKEN|PASSWORD|SECRET|_KEY)\w*:", FILE.read_text())
    with_secret = {name for name, made in services().items() if "env_file" in made}
    assert with_secret == {"spark", "code-server"}
    for kept in ("deploy/compose.secrets", "deploy/.env"):
        ignored = subprocess.run(["git", "check-ignore", "-q", kept], cwd=ROOT, check=False)
        assert ignored.returncode == 0, kept


def test_images_of_others_are_named_by_the_one_who_starts_them() -> None:
    assert services()["kafka"]["image"].startswith("${KAFKA_IMAGE:?")
    assert "latest" not in FILE.read_text()


@pytest.mark.parametrize("base", ["", "python:3.11-slim-bookworm"])
def test_a_base_without_a_digest_is_refused_in_a_sentence(base: str) -> None:
    script = ROOT / "deploy" / "docker" / "build.sh"
    done = subprocess.run(
        ["sh", script], env={"BASE": base, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"BASE is '{base}', which names no digest." in done.stderr
