"""The rights that doctor asks for are those that the chart grants."""

from __future__ import annotations

import pytest

from crypto_pipeline.kafka_settings import ROLES, KafkaRole
from crypto_pipeline.settings import Settings
from crypto_pipeline.stream.rights import NEEDED, lacking
from crypto_pipeline_tests.helm.secured import chart_grants


@pytest.mark.parametrize("role", ROLES)
def test_the_chart_grants_what_is_needed(role: KafkaRole) -> None:
    granted = chart_grants()[role]
    assert set(NEEDED[role]) <= set(granted)
    for name, operations in NEEDED[role].items():
        assert operations <= {operation.upper() for operation in granted[name]}, name


@pytest.mark.integration
@pytest.mark.parametrize("role", ROLES)
def test_where_nobody_is_asked_who_he_is_nothing_lacks(broker: Settings, role: KafkaRole) -> None:
    from crypto_pipeline.stream.topics import ensure

    ensure(broker)
    assert lacking(broker.as_kafka_user(role)) == ((), ())
