"""How pods are placed and started: beside the lake, with its keys, in their time."""

from __future__ import annotations

import pytest

from crypto_pipeline.embedded import spark_guard
from crypto_pipeline.lake.lease import STORE_CLOCK_SECONDS, Terms
from crypto_pipeline_tests.helm.rendering import (
    PROFILES,
    RELEASE,
    Manifest,
    containers,
    manifests,
    pods,
)

pytestmark = [pytest.mark.helm, pytest.mark.usefixtures("chart_tools")]

JAVA_START_SECONDS = 90.0
BESIDE_THE_LAKE = ("spark", "code-location")


def deployed(name: str, profile: str, *sets: str) -> Manifest:
    return dict(pods(manifests(profile, *sets)))[f"Deployment/{RELEASE}-{name}"]


def first(pod: Manifest, name: str) -> Manifest:
    return next(one for one in containers(pod) if one["name"] == name)


@pytest.mark.parametrize("profile", ["laptop", "external-kafka"])
def test_neither_pod_of_a_folder_lake_waits_for_the_other_to_be_placed(profile: str) -> None:
    """A pod that no other matches yet may be placed only when it matches its own term."""
    found = [deployed(name, profile) for name in BESIDE_THE_LAKE]
    terms = []
    for pod in found:
        affinity = pod["spec"]["affinity"]["podAffinity"]
        (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["topologyKey"] == "kubernetes.io/hostname"
        terms.append(term["labelSelector"])
    assert terms[0] == terms[1]
    (chosen,) = terms[0]["matchExpressions"]
    assert (chosen["operator"], chosen["values"]) == ("In", list(BESIDE_THE_LAKE))
    for pod in found:
        labels = pod["metadata"]["labels"]
        assert terms[0]["matchLabels"].items() <= labels.items()
        assert labels[chosen["key"]] in chosen["values"]
        assert "app.kubernetes.io/instance" in terms[0]["matchLabels"]


@pytest.mark.parametrize(
    ("profile", "sets"),
    [("databricks", ()), ("aws", ()), ("laptop", ("lake.volume.accessMode=ReadWriteMany",))],
)
def test_a_lake_that_every_node_reaches_ties_no_pod(profile: str, sets: tuple[str, ...]) -> None:
    for name in BESIDE_THE_LAKE:
        assert "affinity" not in deployed(name, profile, *sets)["spec"]


def test_an_executor_has_the_keys_of_the_store_as_its_driver_has() -> None:
    keys = "lake.existingSecret=keys"
    executor = next(pod for name, pod in pods(manifests("aws", keys)) if name.endswith("/executor"))
    of_driver = first(deployed("spark", "aws", keys), "spark")["env"]
    wanted = [v for v in of_driver if v["name"] in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
    assert len(wanted) == 2
    assert first(executor, "executor")["env"] == wanted
    by_role = next(pod for name, pod in pods(manifests("aws")) if name.endswith("/executor"))
    assert "env" not in first(by_role, "executor")


@pytest.mark.parametrize("profile", PROFILES)
def test_sparks_pod_has_the_time_that_a_lease_may_take(profile: str) -> None:
    """A store that is away ages the lease too, so the two waits are not one after the other."""
    pod = deployed("spark", profile)
    probe = first(pod, "spark")["startupProbe"]
    terms = Terms()
    waits = (
        spark_guard.AWAY_SECONDS,
        terms.expiry + terms.longest_request + STORE_CLOCK_SECONDS,
    )
    assert probe["periodSeconds"] * probe["failureThreshold"] >= max(waits) + JAVA_START_SECONDS
    ending = spark_guard.STOP_SECONDS + terms.longest_request
    assert pod["spec"]["terminationGracePeriodSeconds"] > ending
