"""Every profile in a real API server: helm installs it, and its pods are admitted as restricted."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from crypto_pipeline_tests.conftest import ROOT, missing
from crypto_pipeline_tests.helm.api_server import ApiServer, Installed, api_server, etcd, install
from crypto_pipeline_tests.helm.rendering import (
    CHART,
    PROFILES,
    RELEASE,
    SPOILT,
    Manifest,
    containers,
    manifests,
    pods,
    spoil,
    strimzi_pods,
    tools,
)

pytestmark = [
    pytest.mark.helm,
    pytest.mark.integration,
    pytest.mark.usefixtures("chart_tools"),
]


@pytest.fixture(scope="module")
def server(chart_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    if not (tools() / "kube-apiserver").exists():
        missing("kube-apiserver is not built: sh deploy/kube-tools/build.sh")
    if etcd() is None:
        missing("etcd is not there: apt-get install etcd-server, or brew install etcd")
    with api_server(tmp_path_factory.mktemp("api-server")) as started:
        started.define()
        yield started


@pytest.fixture(scope="module", params=PROFILES)
def installed(server: ApiServer, request: pytest.FixtureRequest) -> Installed:
    return install(server, request.param)


def names(found: list[Manifest]) -> list[str]:
    return sorted(f"{m['kind']}/{m['metadata']['name']}" for m in found)


def is_hook(manifest: Manifest) -> bool:
    return "helm.sh/hook" in manifest["metadata"].get("annotations", {})


def test_helm_installs_the_profile(installed: Installed) -> None:
    assert installed.said.returncode == 0, installed.said.stderr
    assert names(installed.manifests()) == names(manifests(installed.profile))
    for manifest in installed.manifests():
        found = installed.server.client.get(installed.server.address(manifest, installed.namespace))
        assert found.is_success is not is_hook(manifest), manifest["metadata"]["name"]


def test_every_object_is_admitted_and_nothing_is_warned_of(installed: Installed) -> None:
    """Hooks too; a warning would be of an old version or of a pod that is not restricted."""
    assert len(installed.manifests()) > 25
    for manifest in installed.manifests():
        answer = installed.server.apply(manifest, installed.namespace)
        assert answer.is_success, answer.text
        assert "warning" not in answer.headers, answer.headers["warning"]


def test_every_pod_template_is_admitted_as_restricted(installed: Installed) -> None:
    templates = [*pods(installed.manifests()), *strimzi_pods(installed.manifests())]
    owners = {name.partition("/")[0] for name, _ in templates}
    assert {"Deployment", "Job", "Pod"} <= owners
    assert ("KafkaNodePool" in owners) == (installed.profile != "external-kafka")
    for name, template in templates:
        answer = installed.server.create_pod(template, installed.namespace)
        assert answer.is_success, (name, answer.text)
        assert "warning" not in answer.headers, answer.headers["warning"]


@pytest.mark.parametrize("change", SPOILT)
def test_a_pod_that_breaks_the_restricted_level_is_refused(
    installed: Installed, change: str
) -> None:
    template = dict(pods(installed.manifests()))[f"Deployment/{RELEASE}-daemon"]
    spoil(template, change)
    answer = installed.server.create_pod(template, installed.namespace)
    assert answer.status_code == 403
    assert 'violates PodSecurity "restricted' in answer.json()["message"]


def test_a_deployment_that_breaks_it_is_warned_of(server: ApiServer) -> None:
    server.open_namespace("spoilt")
    deployment = next(m for m in manifests("laptop") if m["kind"] == "Deployment")
    deployment["metadata"]["namespace"] = "spoilt"
    spoil(deployment["spec"]["template"], "root")
    answer = server.apply(deployment, "spoilt")
    assert "would violate PodSecurity" in answer.headers["warning"]


@pytest.mark.parametrize(
    ("kind", "path"),
    [("Kafka", ("spec", "kafka")), ("Deployment", ("spec",)), ("NetworkPolicy", ("spec",))],
)
def test_a_field_that_does_not_exist_is_refused(
    server: ApiServer, kind: str, path: tuple[str, ...]
) -> None:
    server.open_namespace("misspelt")
    manifest = next(one for one in manifests("laptop") if one["kind"] == kind)
    manifest["metadata"]["namespace"] = "misspelt"
    inner: Any = manifest
    for part in path:
        inner = inner[part]
    inner["replicaz"] = 3
    answer = server.apply(manifest, "misspelt")
    assert not answer.is_success
    assert "replicaz" in answer.json()["message"]


@pytest.mark.parametrize("installed", ["aws"], indirect=True)
def test_sparks_account_makes_executors_and_nothing_else(installed: Installed) -> None:
    server, here = installed.server, installed.namespace
    accounts = f"system:serviceaccount:{here}:{RELEASE}"
    (executor,) = (pod for name, pod in pods(installed.manifests()) if name.endswith("/executor"))
    assert server.create_pod(executor, here, account=f"{accounts}-spark").is_success
    assert server.create_pod(executor, here, account=f"{accounts}-app").status_code == 403
    assert server.create_pod(executor, "default", account=f"{accounts}-spark").status_code == 403
    for verb, resource in itertools.product(
        ("get", "list", "create", "delete"),
        ("pods", "configmaps", "persistentvolumeclaims", "secrets", "services", "serviceaccounts"),
    ):
        wanted = resource in ("pods", "configmaps", "persistentvolumeclaims")
        assert may(server, f"{accounts}-spark", verb, resource, here) is wanted, (verb, resource)
        assert may(server, f"{accounts}-app", verb, resource, here) is False
        assert may(server, f"{accounts}-code-location", verb, resource, here) is False


def asked_secrets(pod: Manifest) -> set[tuple[str, str]]:
    """(Secret, key) that a pod cannot start without; a volume of a whole Secret asks for any."""
    asked = set()
    for container in containers(pod):
        for variable in container.get("env", []):
            if found := variable.get("valueFrom", {}).get("secretKeyRef"):
                asked.add((found["name"], found["key"]))
    for volume in pod["spec"].get("volumes", []):
        if found := volume.get("secret"):
            keys = [item["key"] for item in found.get("items", [])] or [""]
            asked |= {(found["secretName"], key) for key in keys}
    return asked


@pytest.mark.parametrize("installed", ["laptop"], indirect=True)
def test_a_trials_secrets_and_strimzis_are_all_that_is_asked_for(installed: Installed) -> None:
    command = ["sh", ROOT / "deploy" / "trial-secrets.sh", installed.namespace, RELEASE]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    given = list(yaml.safe_load_all(done.stdout))
    for secret in given:
        answer = installed.server.apply(secret, installed.namespace)
        assert answer.is_success, answer.text
    made = installed.manifests()
    of_strimzi = {
        *(m["metadata"]["name"] for m in made if m["kind"] == "KafkaUser"),
        "crypto-cluster-cluster-ca-cert",
    }
    asked = {one for _, pod in pods(made) for one in asked_secrets(pod)}
    assert {name for name, _ in asked} - of_strimzi == {one["metadata"]["name"] for one in given}
    held = {(one["metadata"]["name"], key) for one in given for key in ("", *one["data"])}
    assert {one for one in asked if one[0] not in of_strimzi} <= held


def may(server: ApiServer, account: str, verb: str, resource: str, namespace: str) -> bool:
    asked = {"verb": verb, "resource": resource, "namespace": namespace}
    answer = server.client.post(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        headers={"Impersonate-User": account},
        json={
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        },
    )
    return bool(answer.raise_for_status().json()["status"]["allowed"])


@pytest.mark.parametrize("installed", ["laptop"], indirect=True)
def test_what_holds_data_outlives_an_upgrade_and_the_uninstall(installed: Installed) -> None:
    server, here = installed.server, installed.namespace
    values = ("--reuse-values", "--set", "images.pipeline.tag=0.2.0,retention.topicDays=14")
    told = ("--namespace", here, "--no-hooks")
    done = server.helm("upgrade", RELEASE, str(CHART), *values, *told)
    assert done.returncode == 0, done.stderr
    made = installed.manifests()
    done = server.helm("uninstall", RELEASE, *told)
    assert done.returncode == 0, done.stderr
    left = [
        m for m in made if not is_hook(m) and server.client.get(server.address(m, here)).is_success
    ]
    assert names(left) == [
        "Kafka/crypto-cluster",
        "PersistentVolumeClaim/crypto-pipeline-lake",
        "PersistentVolumeClaim/crypto-pipeline-state",
    ]
