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
        "objectStoreAndExecutors", "liveOrDatabricks", "login", "ingress", "monitoring", "webhook",
    },
    "databricks": {"externalPostgres", "strimzi", "objectStore", "liveOrDatabricks", "monitoring"},
    "external-kafka": {"externalPostgres", "externalKafka", "liveOrDatabricks"},
}  # fmt: skip
NAMESPACES = {"kube-system": ("dns", "ingress"), "monitoring": ("prometheus",)}
RANGES = {
    "10.20.0.0/16": "database",
    "10.30.0.0/16": "brokers",
    "172.20.0.1/32": "apiserver",
    "0.0.0.0/0": "internet",
    # Of no profile: what a test below gives.
    "10.41.0.0/16": "store",
    "10.42.0.0/16": "webhook",
    "10.43.0.0/16": "mail",
    "10.44.0.0/16": "registry",
}
NUMBERS = {
    "database": {5432}, "brokers": {9096}, "apiserver": {443, 6443}, "store": {443},
    "webhook": {443},
}  # fmt: skip
# Reached on the internet where no range is given.
ON_THE_INTERNET = {"issuer", "store", "webhook"}

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
    return "internet" if name in ON_THE_INTERNET else places.get(name, name)


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
    return rules(without_deny(policies), "ingress", "from")


def without_deny(policies: list[Manifest]) -> list[Manifest]:
    return [p for p in policies if not p["metadata"]["name"].endswith("deny-all")]


def ways_out(profile: str, *sets: str) -> set[Row]:
    policies = [m for m in manifests(profile, *sets) if m["kind"] == "NetworkPolicy"]
    return rules(without_deny(policies), "egress", "to")


def test_a_store_on_a_private_address_is_reached_at_its_own_port() -> None:
    endpoint, cidrs = "lake.endpoint=http://minio.storage.svc:9000", "lake.cidrs={10.41.0.0/16}"
    found = ways_out("aws", endpoint, cidrs)
    assert {row for row in found if row[1] == "store"} == {
        ("spark", "store", 9000), ("executor", "store", 9000), ("code-location", "store", 9000),
    }  # fmt: skip
    # They had this way for the store alone.
    assert not {row for row in found if row[0] in ("spark", "executor") and row[1] == "internet"}
    assert ("code-location", "internet", 443) in found


@pytest.mark.parametrize(
    ("endpoint", "port"), [("http://10.41.0.9", 80), ("https://minio.example.com/x", 443)]
)
def test_an_endpoint_without_a_port_has_that_of_its_scheme(endpoint: str, port: int) -> None:
    found = ways_out("databricks", f"lake.endpoint={endpoint}", "lake.cidrs={10.41.0.0/16}")
    assert ("spark", "store", port) in found


def test_whoever_tells_of_alerts_may_reach_whom_it_tells() -> None:
    told = (
        "alerting.webhook.existingSecret=hook", "alerting.webhook.port=8443",
        "alerting.email.to={a@example.org}", "alerting.smtp.host=mail",
    )  # fmt: skip
    private = ("alerting.webhook.cidrs={10.42.0.0/16}", "alerting.smtp.cidrs={10.43.0.0/16}")
    before = ways_out("laptop")
    assert ways_out("laptop", *told) - before == {
        ("code-location", "internet", 8443), ("dashboard", "internet", 8443),
        ("code-location", "internet", 587),
    }  # fmt: skip
    assert ways_out("laptop", *told, *private) - before == {
        ("code-location", "webhook", 8443), ("dashboard", "webhook", 8443),
        ("code-location", "mail", 587),
    }  # fmt: skip


def test_a_registry_of_models_is_reached_from_where_models_are_fitted() -> None:
    sets = ("modelRegistry.address=http://mlflow:5000", "modelRegistry.cidrs={10.44.0.0/16}")
    before = ways_out("laptop")
    assert ways_out("laptop", *sets) - before == {("code-location", "registry", 5000)}
    assert ways_out("laptop", "modelRegistry.address=databricks-uc") == before


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
