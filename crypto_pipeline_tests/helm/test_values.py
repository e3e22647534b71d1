"""Values as the processes read them: ranges, who is told, and what is kept."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from crypto_pipeline import settings as settings_module
from crypto_pipeline.contract.topic import DAY_MS, TOPICS
from crypto_pipeline.errors import SettingsError
from crypto_pipeline.setting_values import Secret
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.helm.rendering import CHART, RELEASE, containers, manifests, pods

pytestmark = [pytest.mark.helm, pytest.mark.usefixtures("chart_tools")]

HOOK = "https://hooks.example.org/t/4711"
MARKET = {"MARKET": "simulated"}


# Values of the chart that have their setting's own default and range.
NUMBERS = (
    ("rejection.rateLimit", "REJECTION_RATE_LIMIT"),
    ("rejection.leastRows", "REJECTION_LEAST_ROWS"),
    ("databricks.timeoutMinutes", "DATABRICKS_TIMEOUT_MINUTES"),
    ("alerting.smtp.port", "SMTP_PORT"),
    ("alerting.movePercent", "ALERT_MOVE_PERCENT"),
    ("alerting.volatilityPercent", "ALERT_VOLATILITY_PERCENT"),
    ("alerting.staleSeconds", "ALERT_STALE_SECONDS"),
)


def load(tmp_path: Path, **values: str) -> Settings:
    return settings_module.load(values, env_file=tmp_path / "no.env")


def settings_of(tmp_path: Path, name: str, profile: str, *sets: str) -> Settings:
    """What a Deployment's first container reads; a Secret's value is the address of a webhook."""
    pod = dict(pods(manifests(profile, *sets)))[f"Deployment/{RELEASE}-{name}"]
    (container,) = (one for one in containers(pod) if one["name"] == name)
    return load(tmp_path, **{v["name"]: v.get("value", HOOK) for v in container["env"]})


@pytest.mark.parametrize(
    ("value", "setting"), [("retention.dagsterDays", "DAGSTER_RETENTION_DAYS"), *NUMBERS]
)
def test_a_values_range_is_that_of_its_setting(tmp_path: Path, value: str, setting: str) -> None:
    inner = json.loads((CHART / "values.schema.json").read_text())
    for part in value.split("."):
        inner = inner["properties"][part]
    for bound, beyond in ((inner["minimum"], -1), (inner["maximum"], 1)):
        load(tmp_path, **MARKET, **{setting: str(bound)})
        with pytest.raises(SettingsError, match=setting):
            load(tmp_path, **MARKET, **{setting: str(bound + beyond)})


@pytest.mark.parametrize(("value", "setting"), NUMBERS)
def test_a_default_is_that_of_its_setting(value: str, setting: str) -> None:
    inner: Any = yaml.safe_load((CHART / "values.yaml").read_text())
    for part in value.split("."):
        inner = inner[part]
    (written,) = re.findall(
        rf"^#{setting}=(.+)$", (ROOT / ".env.example").read_text(), re.MULTILINE
    )
    assert float(written) == inner


WEBHOOK = "alerting.webhook.existingSecret=hook"
MAIL = (
    "alerting.email.to={a@example.org,b@example.org}", "alerting.email.from=c@example.org",
    "alerting.smtp.host=mail.example.org", "alerting.smtp.port=25", "alerting.smtp.tls=false",
    "alerting.smtp.user=me", "alerting.smtp.existingSecret=smtp",
    "alerting.runbookUrl=https://example.org/repository",
)  # fmt: skip


def test_the_sensor_of_alerts_is_told_whom_to_tell(tmp_path: Path) -> None:
    assert not settings_of(tmp_path, "code-location", "laptop").alerting.is_on
    found = settings_of(tmp_path, "code-location", "laptop", WEBHOOK, *MAIL).alerting
    assert found.is_on
    assert (found.webhook_url, found.smtp_password) == (Secret(HOOK), Secret(HOOK))
    assert found.email_to == ("a@example.org", "b@example.org")
    assert found.email_from == "c@example.org"
    assert (found.smtp_host, found.smtp_port, found.smtp_tls) == ("mail.example.org", 25, False)
    assert found.smtp_user == "me"
    assert found.runbook_base == "https://example.org/repository"


LIMITS = ("alerting.movePercent=5", "alerting.volatilityPercent=80", "alerting.staleSeconds=600")


def test_the_page_tells_the_same_webhook_by_the_operators_limits(tmp_path: Path) -> None:
    found = settings_of(tmp_path, "dashboard", "laptop", WEBHOOK, *LIMITS).screen
    assert found.alert_webhook_url == Secret(HOOK)
    assert (found.alert_move_percent, found.alert_volatility_percent) == (5.0, 80.0)
    assert found.alert_stale_seconds == 600.0


@pytest.mark.parametrize(
    ("profile", "sets", "url"),
    [
        ("laptop", (), "http://127.0.0.1:3000"),
        ("aws", (), "https://dagster.example.com"),
        ("aws", ("dashboard.dagsterUrl=https://runs.example.com",), "https://runs.example.com"),
    ],
)
def test_the_pages_links_lead_to_where_dagster_is(
    tmp_path: Path, profile: str, sets: tuple[str, ...], url: str
) -> None:
    assert settings_of(tmp_path, "dashboard", profile, *sets).screen.dagster_url == url


def test_stages_are_told_limits_registry_and_where_they_run(tmp_path: Path) -> None:
    sets = (
        "rejection.leastRows=1000",
        "databricks.layers={gold,predictions}", "databricks.timeoutMinutes=20",
        "modelRegistry.address=databricks-uc", "modelRegistry.name=main.market.volatility",
    )  # fmt: skip
    found = settings_of(tmp_path, "code-location", "databricks", *sets)
    assert found.rejection_limits.least_rows == 1000
    assert found.databricks.layers == {"gold", "predictions"}
    assert found.databricks.timeout_minutes == 20
    assert found.keeping.model_registry == "databricks-uc"
    assert found.keeping.model_name == "main.market.volatility"


@pytest.mark.parametrize(("days", "kept"), [(0, -1), (7, 7 * DAY_MS), (400, 400 * DAY_MS)])
def test_topics_keep_their_days_or_for_ever(days: int, kept: int) -> None:
    """A publication refuses topics that keep less than the contract; -1 is for ever, 0 nothing."""
    found = {
        m["metadata"]["name"]: m["spec"]["config"]
        for m in manifests("laptop", f"retention.topicDays={days}")
        if m["kind"] == "KafkaTopic"
    }
    bounded = {topic.name for topic in TOPICS if "retention.ms" in topic.config}
    assert bounded
    for name, config in found.items():
        assert config.get("retention.ms") == (kept if name in bounded else None)


def test_the_least_days_of_topics_are_the_contracts() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    _, bounded = schema["properties"]["retention"]["properties"]["topicDays"]["anyOf"]
    declared = {t.config["retention.ms"] for t in TOPICS if "retention.ms" in t.config}
    assert declared == {str(bounded["minimum"] * DAY_MS)}
