"""Values as the processes read them: ranges, who is told, and what is kept."""

from __future__ import annotations

import json

import pytest

from crypto_pipeline.contract.topic import DAY_MS, TOPICS
from crypto_pipeline_tests.helm.rendering import CHART, manifests

pytestmark = [pytest.mark.helm, pytest.mark.usefixtures("chart_tools")]


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
