"""What the chart renders: the goldens, one kind a file, and names that agree with the code."""

from __future__ import annotations

import re

import pytest
import yaml

from crypto_pipeline.contract.topic import TOPICS
from crypto_pipeline.observed.declared import DASHBOARD, INGESTION
from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.helm.rendering import (
    CHART,
    KUBERNETES,
    PROFILES,
    containers,
    golden,
    helm,
    manifests,
    pods,
    rendered,
)

pytestmark = [pytest.mark.helm, pytest.mark.usefixtures("chart_tools")]

# Names that are not settings of ours: Dagster's, gRPC's, Postgres', the login's, Databricks'.
OF_OTHERS = re.compile(
    r"DAGSTER_(HOME|PG_\w+)|GRPC_DEFAULT_SSL_ROOTS_FILE_PATH|PGDATA|POSTGRES_\w+|OAUTH2_PROXY_\w+|HOME"
)


def test_lint_finds_nothing() -> None:
    for profile in PROFILES:
        values = str(CHART / "profiles" / f"{profile}.yaml")
        options = ("--set", WITHOUT_OPERATOR, *KUBERNETES)
        done = helm("lint", "--strict", str(CHART), "-f", values, *options)
        assert done.returncode == 0, done.stdout + done.stderr


WITHOUT_OPERATOR = "kafka.strimzi.requireOperator=false"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_renders_as_committed(profile: str) -> None:
    assert rendered(profile) == golden(profile).read_text(), (
        "The chart renders otherwise than rendered/ says. If that is meant: "
        "python -m crypto_pipeline_tests.helm.rendering"
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_a_file_holds_one_kind(profile: str) -> None:
    kinds: dict[str, set[str]] = {}
    for part in rendered(profile).split("\n---\n"):
        source = re.search(r"^# Source: (\S+)", part, re.MULTILINE)
        kind = re.search(r"^kind: (\w+)", part, re.MULTILINE)
        if source and kind:
            kinds.setdefault(source[1], set()).add(kind[1])
    assert kinds
    assert {source: found for source, found in kinds.items() if len(found) > 1} == {}


def test_the_charts_topics_are_the_contracts() -> None:
    found = {
        m["metadata"]["name"]: m["spec"] for m in manifests("aws") if m["kind"] == "KafkaTopic"
    }
    assert set(found) == {topic.name for topic in TOPICS}
    for topic in TOPICS:
        spec = found[topic.name]
        config = {name: str(value) for name, value in spec["config"].items()}
        assert config.pop("min.insync.replicas") == "2"
        assert (spec["partitions"], spec["replicas"], config) == (topic.partitions, 3, topic.config)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_variable_of_a_pod_is_a_setting(profile: str) -> None:
    known = set(re.findall(r"^#([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    used = {
        variable["name"]
        for _, pod in pods(manifests(profile))
        for container in containers(pod)
        for variable in container.get("env", [])
    }
    assert "STATE_DIR" in used
    unknown = {name for name in used - known if not OF_OTHERS.fullmatch(name)}
    assert {re.sub(r"KAFKA_(POLLER|LAKE|DASHBOARD|SENSOR)_", "KAFKA_", n) for n in unknown} <= known


SECRET = r"PASSWORD|TOKEN|SECRET|API_KEY|ACCESS_KEY|WEBHOOK_URL"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_secret_reaches_a_pod_by_reference_only(profile: str) -> None:
    for name, pod in pods(manifests(profile)):
        for container in containers(pod):
            for variable in container.get("env", []):
                if re.search(SECRET, variable["name"]):
                    assert "value" not in variable or variable["name"].endswith("_FILE"), (
                        name,
                        variable,
                    )
    assert "Secret" not in {m["kind"] for m in manifests(profile)}


def test_an_alert_asks_for_metrics_that_exist_and_has_its_page() -> None:
    names = {metric.name for metric in (*INGESTION, *DASHBOARD)}
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    alerts = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    for alert in alerts:
        asked = set(re.findall(r"crypto_pipeline_\w+", alert["expr"]))
        assert asked
        assert asked <= names
        assert f"## {alert['alert']}\n" in runbook
    assert len(re.findall(r"^## CryptoPipeline", runbook, re.MULTILINE)) == len(alerts)


def test_an_alert_fires_when_the_pod_of_the_metrics_is_gone() -> None:
    """All else compares with a series, and there is none then; another release's does not count."""
    (rule,) = (m for m in manifests("aws") if m["kind"] == "PrometheusRule")
    (group,) = rule["spec"]["groups"]
    (unseen,) = (one for one in group["rules"] if one["expr"].startswith("absent("))
    assert unseen["expr"] == 'absent(crypto_pipeline_last_poll_age_seconds{namespace="market"})'
    assert (unseen["for"], unseen["labels"]["severity"]) == ("5m", "critical")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_instance_is_the_laptops_on_postgres(profile: str) -> None:
    (found,) = (m for m in manifests(profile) if m["metadata"]["name"].endswith("-dagster"))
    chart = yaml.safe_load(found["data"]["dagster.yaml"])
    laptop = yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text())
    assert "postgres_db" in chart.pop("storage")["postgres"]
    assert chart.pop("run_launcher") == {"module": "dagster", "class": "DefaultRunLauncher"}
    assert chart == laptop
