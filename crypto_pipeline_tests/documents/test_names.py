"""What a documented command names is there, where the command itself cannot be run by a test."""

from __future__ import annotations

import re
import shlex
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import yaml

from crypto_pipeline.databricks.wheel import WHEEL
from crypto_pipeline.databricks_settings import VOLUME_FORM
from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.documents import run_by, shell
from crypto_pipeline_tests.helm.rendering import golden
from crypto_pipeline_tests.images.dockerfile import stages
from crypto_pipeline_tests.images.test_compose import services
from crypto_pipeline_tests.store.stack import TEMPLATE
from crypto_pipeline_tests.store.test_stack import Tagged

COMMANDS = sorted({c.text for c in [*shell.commands(), *shell.mentioned()]})
DATABRICKS = ROOT / "deploy" / "databricks"
CLUSTER_OF_STRIMZI = "crypto-cluster"
# Kinds that are Kubernetes' or an operator's own and are asked for without a name.
KINDS = {"pods", "kafka", "kafkatopic", "kafkauser", "kafkanodepool", "crd", "pvc"}
SHORT = {"deploy": "Deployment", "svc": "Service", "job": "Job", "secret": "Secret"}


def of(program: str) -> list[str]:
    return [text for text in COMMANDS if text.split()[0] == program]


@cache
def manifests() -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(golden("laptop").read_text()) if one]


def is_there(kind: str, name: str) -> bool:
    """In the laptop's chart, or made by Strimzi for what is in it: a Secret a user, a Service."""
    made = {(one["kind"], one["metadata"]["name"]) for one in manifests()}
    if kind == "Secret":
        return ("KafkaUser", name) in made or name == f"{CLUSTER_OF_STRIMZI}-cluster-ca-cert"
    if name.startswith(CLUSTER_OF_STRIMZI):
        return kind == "Service" and ("Kafka", CLUSTER_OF_STRIMZI) in made
    return (kind, name) in made


def named(words: list[str]) -> list[tuple[str, str]]:
    """(kind, name) of each object: `deploy/x`, `job/x`, or `secret x`."""
    found = [(kind, name) for word in words for kind, _, name in [word.partition("/")] if name]
    found = [(SHORT[kind], name) for kind, name in found if kind in SHORT]
    for before, after in pairwise(words):
        if before in SHORT:
            found.append((SHORT[before], after))
    return found


@pytest.mark.parametrize("text", of("kubectl"))
def test_what_a_kubectl_line_names_is_in_the_chart(text: str) -> None:
    words = shlex.split(text)
    for kind, name in named(words):
        assert is_there(kind, name), (kind, name)
        if "-c" in words:
            (owner,) = (
                m for m in manifests() if (m["kind"], m["metadata"]["name"]) == (kind, name)
            )
            containers = [c["name"] for c in owner["spec"]["template"]["spec"]["containers"]]
            assert words[words.index("-c") + 1] in containers
        if "port-forward" in words and not name.startswith(CLUSTER_OF_STRIMZI):
            (owner,) = (
                m for m in manifests() if (m["kind"], m["metadata"]["name"]) == (kind, name)
            )
            ports = [str(port["port"]) for port in owner["spec"]["ports"]]
            assert words[-1].partition(":")[2] in ports


def test_an_object_that_is_not_in_the_chart_is_found() -> None:
    assert not is_there("Deployment", "crypto-pipeline-scheduler")
    assert not is_there("Secret", "crypto-pipeline-webserver")
    assert named(shlex.split("kubectl -n x logs job/a -c b")) == [("Job", "a")]
    assert named(["kubectl", "get", "secret", "a"]) == [("Secret", "a")]


@pytest.mark.parametrize("text", of("docker"))
def test_what_a_docker_line_names_is_there(text: str) -> None:
    words = shlex.split(text)
    for option, value in pairwise(words):
        if option in ("--file", "--env-file"):
            assert (ROOT / value).is_file(), value
        if option == "--target":
            assert value in stages()
    if words[1] == "compose" and words[4:5] and words[4] in ("stop", "run", "start", "restart"):
        asked = [word for word in words[5:] if word in services()]
        assert asked, "no service of compose.yaml is named"
        if words[4] == "stop":
            assert asked == words[5:]


@pytest.mark.parametrize("text", of("cd"))
def test_a_folder_that_is_entered_is_there(text: str) -> None:
    assert (ROOT / shlex.split(text)[1]).is_dir()


@pytest.mark.parametrize("text", of("databricks"))
def test_what_a_databricks_line_names_is_in_the_bundle(text: str) -> None:
    """Wheel, volume, target, variables and job; the CLI's own words are not tried."""
    words = shlex.split(text)
    if words[1:3] == ["fs", "cp"]:
        wheel, volume = words[3:]
        assert wheel.rpartition("/")[2] == WHEEL
        assert VOLUME_FORM.fullmatch(volume.removeprefix("dbfs:").rstrip("/"))
        return
    assert words[1] == "bundle"
    bundle = yaml.safe_load((DATABRICKS / "databricks.yml").read_text())
    for option, value in pairwise(words):
        if option == "-t":
            assert value in bundle["targets"]
        if option == "--var":
            assert value.partition("=")[0] in bundle["variables"]
    if words[2] == "run":
        files = [yaml.safe_load(f.read_text()) for f in DATABRICKS.glob(*bundle["include"])]
        assert words[3] in {name for file in files for name in file["resources"]["jobs"]}


@pytest.mark.parametrize("text", of("helm"))
def test_a_helm_lines_files_are_there(text: str) -> None:
    """A file that the reader writes is named `my-…`."""
    words = shlex.split(text)
    for option, value in pairwise(words):
        if option == "--values" and not value.startswith("my-"):
            assert (ROOT / value).is_file(), value
        if option == "--set":
            assert is_value(value.partition("=")[0].split(".")), value
    if words[1] in ("install", "upgrade") and words[2] == "crypto-pipeline":
        assert (ROOT / words[3] / "Chart.yaml").is_file()


@pytest.mark.parametrize("text", of("aws"))
def test_what_an_aws_line_names_is_in_the_template(text: str) -> None:
    words = shlex.split(text)
    for option, value in pairwise(words):
        if option == "--template-file":
            assert (ROOT / value).is_file(), value
    given = [word.partition("=")[0] for word in words if re.match(r"[A-Z]\w+=", word)]
    assert set(given) <= set(yaml.load(TEMPLATE.read_text(), Tagged)["Parameters"])


def is_value(path: list[str]) -> bool:
    inner: Any = yaml.safe_load((ROOT / "helm" / "crypto-pipeline" / "values.yaml").read_text())
    for part in path:
        if not isinstance(inner, dict) or part not in inner:
            return False
        inner = inner[part]
    return True


def test_a_value_that_is_not_the_charts_is_found() -> None:
    assert is_value(["images", "registry"])
    assert not is_value(["images", "registri"])


def test_what_is_not_run_is_another_program_than_ours() -> None:
    for begin, held in run_by.HELD.items():
        assert re.match(
            r"aws cloudformation|cd|databricks|docker|kubectl"
            r"|helm (repo add|install|uninstall) strimzi",
            begin,
        ), begin
        assert held.why
