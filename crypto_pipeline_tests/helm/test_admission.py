"""What a cluster would refuse: Strimzi's and Prometheus' own schemas, and the restricted level.

The rules of the restricted level are written down here from the Kubernetes documentation (Pod
Security Standards), so that no API server is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.helm.rendering import (
    PROFILES,
    SPOILT,
    Manifest,
    containers,
    golden,
    pods,
    spoil,
    strimzi_pods,
)

CRDS = Path(__file__).parent / "crds"
VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
    "projected", "secret",
}  # fmt: skip


def committed(profile: str) -> list[Manifest]:
    return [found for found in yaml.safe_load_all(golden(profile).read_text()) if found]


def closed(schema: Any) -> Any:
    """The schema as a server applies it with strict field validation: unknown fields refused."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields")
    if "properties" in schema and "additionalProperties" not in schema and not is_open:
        found["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        found = {"type": ["integer", "string"]}
    return found


def custom_schemas() -> dict[tuple[str, str], Any]:
    schemas = {}
    for file in CRDS.rglob("*.yaml"):
        crd = yaml.safe_load(file.read_text())
        spec = crd["spec"]
        for version in spec["versions"]:
            schema = closed(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
            schemas[key] = schema
    return schemas


SCHEMAS = custom_schemas()


@pytest.mark.parametrize("profile", PROFILES)
def test_custom_resources_are_what_their_operators_define(profile: str) -> None:
    custom = [m for m in committed(profile) if "strimzi.io" in m["apiVersion"]]
    custom += [m for m in committed(profile) if "coreos.com" in m["apiVersion"]]
    assert {m["apiVersion"] for m in custom} <= {"kafka.strimzi.io/v1", "monitoring.coreos.com/v1"}
    for manifest in custom:
        schema = SCHEMAS[manifest["apiVersion"], manifest["kind"]]
        jsonschema.Draft7Validator(schema).validate(manifest)
    assert bool(custom) == (profile != "external-kafka")


def test_a_field_that_strimzi_does_not_know_is_found() -> None:
    (kafka,) = (m for m in committed("laptop") if m["kind"] == "Kafka")
    kafka["spec"]["kafka"]["replicas"] = 3
    schema = SCHEMAS["kafka.strimzi.io/v1", "Kafka"]
    with pytest.raises(jsonschema.ValidationError, match="'replicas' was unexpected"):
        jsonschema.Draft7Validator(schema).validate(kafka)


def violations(pod: Manifest) -> list[str]:
    """What the restricted level refuses in a pod."""
    spec = pod["spec"]
    of_pod = spec.get("securityContext", {})
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    for volume in spec.get("volumes", []):
        found += [f"volume {kind}" for kind in volume.keys() - {"name"} - VOLUMES]
    for container in containers(pod):
        own = container.get("securityContext", {})
        name = container["name"]
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            found.append(f"{name} may gain privileges")
        if own.get("runAsNonRoot", of_pod.get("runAsNonRoot")) is not True:
            found.append(f"{name} may run as root")
        if own.get("runAsUser", of_pod.get("runAsUser", 1)) == 0:
            found.append(f"{name} runs as root")
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add"):
            found.append(f"{name} keeps capabilities")
        profile = own.get("seccompProfile", of_pod.get("seccompProfile", {})).get("type")
        if profile not in ("RuntimeDefault", "Localhost"):
            found.append(f"{name} has no seccomp profile")
        if any(port.get("hostPort") for port in container.get("ports", [])):
            found.append(f"{name} takes a port of the host")
    return found


@pytest.mark.parametrize("profile", PROFILES)
def test_every_pod_of_ours_keeps_to_the_restricted_level(profile: str) -> None:
    found = dict(pods(committed(profile)))
    assert {"Job/crypto-pipeline-migrate", "Pod/crypto-pipeline-test"} <= found.keys()
    assert {name: broken for name, pod in found.items() if (broken := violations(pod))} == {}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_container_of_ours_has_a_read_only_root_and_bounds(profile: str) -> None:
    for name, pod in pods(committed(profile)):
        assert pod["spec"]["automountServiceAccountToken"] is False
        for container in containers(pod):
            where = (name, container["name"])
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, where
            assert container["securityContext"]["runAsUser"] > 0, where
            if container["name"] != "executor":
                asked = container["resources"]
                for kind in ("cpu", "memory", "ephemeral-storage"):
                    assert asked["requests"][kind], where
                    assert asked["limits"][kind], where


@pytest.mark.parametrize("change", SPOILT)
def test_a_pod_that_breaks_the_restricted_level_is_found(change: str) -> None:
    pod = dict(pods(committed("laptop")))["Deployment/crypto-pipeline-daemon"]
    spoil(pod, change)
    assert len(violations(pod)) == 1


def test_strimzis_pods_are_asked_to_keep_to_the_restricted_level() -> None:
    """The operator adds the containers; what a template may say, ours says."""
    for profile in ("laptop", "aws", "databricks"):
        found = dict(strimzi_pods(committed(profile)))
        assert len(found) >= 2
        assert {name: violations(pod) for name, pod in found.items() if violations(pod)} == {}
    operator = yaml.safe_load((ROOT / "deploy" / "strimzi" / "operator.yaml").read_text())
    classes = {e["name"]: e["value"] for e in operator["extraEnvs"]}
    assert classes["STRIMZI_POD_SECURITY_PROVIDER_CLASS"] == "restricted"
