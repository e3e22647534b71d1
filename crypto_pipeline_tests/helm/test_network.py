"""The table of who may talk to whom, against what is rendered; Services against pods."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from crypto_pipeline_tests.helm.rendering import (
    CHART,
    PROFILES,
    Manifest,
    component,
    containers,
    manifests,
    pods,
)

pytestmark = [pytest.mark.helm, pytest.mark.usefixtures("chart_tools")]

TABLE: list[dict[str, Any]] = yaml.safe_load((CHART / "files" / "network.yaml").read_text())
OURS = {
    "code-location", "webserver", "daemon", "spark", "executor", "dashboard", "postgres", "migrate",
    "test",
}  # fmt: skip
# What is true in each profile, said by hand: the templates work it out from the values.
TRUE_IN = {
    "laptop": {"bundledPostgres", "strimzi"},
    "aws": {
        "externalPostgres", "strimzi", "executors", "strimziAndExecutors", "objectStore",
        "objectStoreAndExecutors", "liveOrObjectStore", "login", "ingress", "monitoring",
    },
    "databricks": {"externalPostgres", "strimzi", "objectStore", "liveOrObjectStore", "monitoring"},
    "external-kafka": {"externalPostgres", "externalKafka", "liveOrObjectStore"},
}  # fmt: skip
NAMESPACES = {"kube-system": ("dns", "ingress"), "monitoring": ("prometheus",)}
RANGES = {
    "10.20.0.0/16": "database",
    "10.30.0.0/16": "brokers",
    "172.20.0.1/32": "apiserver",
    "0.0.0.0/0": "internet",
}
NUMBERS = {"database": {5432}, "brokers": {9096}}

Row = tuple[str, str, int]


def peer(found: Manifest) -> str:
    if "namespaceSelector" in found:
        return str(found["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"])
    if "ipBlock" in found:
        return RANGES[found["ipBlock"]["cidr"]]
    labels = found["podSelector"]["matchLabels"]
    return "kafka" if "strimzi.io/cluster" in labels else component(labels)


def rules(policies: list[Manifest], direction: str, end: str) -> set[tuple[str, str, int]]:
    """(component, peer, port) of one direction; `end` is the key of the peers."""
    return {
        (component(policy["spec"]["podSelector"]["matchLabels"]), peer(other), port["port"])
        for policy in policies
        for rule in policy["spec"].get(direction) or []
        for other in rule[end]
        for port in rule["ports"]
    }


def expected(profile: str) -> tuple[set[Row], set[Row]]:
    """(egress, ingress) rows that the table promises, by the other end's rendered name."""
    egress, ingress = set(), set()
    for row in TABLE:
        if "when" in row and row["when"] not in TRUE_IN[profile]:
            continue
        for port in NUMBERS.get(row["port"], {row["port"]}):
            if row["from"] in OURS:
                egress.add((row["from"], rendered_name(row["to"]), port))
            if row["to"] in OURS:
                ingress.add((row["to"], rendered_name(row["from"]), port))
    return egress, ingress


def rendered_name(name: str) -> str:
    places = {"dns": "kube-system", "ingress": "kube-system", "prometheus": "monitoring"}
    return "internet" if name == "issuer" else places.get(name, name)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_policies_say_what_the_table_says(profile: str) -> None:
    policies = [m for m in manifests(profile) if m["kind"] == "NetworkPolicy"]
    closed = [p for p in policies if p["metadata"]["name"].endswith("deny-all")]
    opened = [p for p in policies if p not in closed]
    absent = {
        name
        for name, condition in {"executor": "executors", "postgres": "bundledPostgres"}.items()
        if condition not in TRUE_IN[profile]
    }
    named = {component(p["spec"]["podSelector"]["matchLabels"]) for p in opened}
    assert named == OURS - absent
    assert all(p["spec"]["policyTypes"] == ["Ingress", "Egress"] for p in policies)
    assert rules(opened, "egress", "to") == expected(profile)[0]
    assert rules(opened, "ingress", "from") == expected(profile)[1]
    # What has no policy of its own is caught by the one that opens nothing.
    (deny,) = closed
    assert deny["spec"].keys() == {"podSelector", "policyTypes"}
    for _, pod in pods(manifests(profile)):
        assert (
            deny["spec"]["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        )


@pytest.mark.parametrize("profile", PROFILES)
def test_only_the_code_location_may_reach_spark_connect(profile: str) -> None:
    policies = [m for m in manifests(profile) if m["kind"] == "NetworkPolicy"]
    into = {row for row in rules_without_deny(policies) if row[0] == "spark" and row[2] == 15443}
    assert into == {("spark", "code-location", 15443)}


def rules_without_deny(policies: list[Manifest]) -> set[Row]:
    named = [p for p in policies if not p["metadata"]["name"].endswith("deny-all")]
    return rules(named, "ingress", "from")


@pytest.mark.parametrize("profile", PROFILES)
def test_each_service_and_port_pairs_with_a_pod(profile: str) -> None:
    found = manifests(profile)
    templates = [pod for _, pod in pods(found)]
    services = [m for m in found if m["kind"] == "Service"]
    assert services
    for service in services:
        selector = service["spec"]["selector"].items()
        chosen = [pod for pod in templates if selector <= pod["metadata"]["labels"].items()]
        assert len(chosen) == 1, service["metadata"]["name"]
        offered = {
            port["name"]: port["containerPort"]
            for container in containers(chosen[0])
            for port in container.get("ports", [])
        }
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in offered, (service["metadata"]["name"], port)
            assert_the_table_knows(component(dict(selector)), offered[port["targetPort"]])


def assert_the_table_knows(name: str, port: int) -> None:
    """A port that a Service offers is in the table, or only kubectl port-forward comes to it."""
    by_forward = {("webserver", 3000), ("dashboard", 8501)}
    assert (name, port) in by_forward | {(row["to"], row["port"]) for row in TABLE}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_selector_of_ours_chooses_exactly_its_pods(profile: str) -> None:
    found = manifests(profile)
    templates = [pod["metadata"]["labels"] for _, pod in pods(found)]
    for manifest in found:
        if manifest["kind"] in ("PodDisruptionBudget", "Deployment", "StatefulSet"):
            wanted = manifest["spec"]["selector"]["matchLabels"].items()
            assert sum(wanted <= labels.items() for labels in templates) == 1, manifest["metadata"]
