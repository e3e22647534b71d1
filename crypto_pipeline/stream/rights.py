"""What a user may do with each topic, as the broker itself says it; nothing is written to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from kafka.errors import NoError, TopicAuthorizationFailedError, for_code

from crypto_pipeline.contract.topic import (
    FORECASTS,
    INGESTED,
    POLLS,
    STATUS,
    SUMMARY,
    TOPICS,
)
from crypto_pipeline.kafka_settings import KafkaRole
from crypto_pipeline.settings import Settings
from crypto_pipeline.stream.connection import kafka_errors, open_admin

# What each workload does with which topic, in the broker's words.
NEEDED: Mapping[KafkaRole, Mapping[str, frozenset[str]]] = {
    "poller": {topic.name: frozenset({"WRITE", "DESCRIBE"}) for topic in (*INGESTED, STATUS)},
    "lake": {
        **{topic.name: frozenset({"READ"}) for topic in INGESTED},
        **{topic.name: frozenset({"READ", "WRITE"}) for topic in (SUMMARY, FORECASTS, STATUS)},
    },
    "dashboard": {topic.name: frozenset({"READ"}) for topic in TOPICS},
    "sensor": {POLLS.name: frozenset({"DESCRIBE"})},
}


def rights(settings: Settings, topics: Sequence[str]) -> dict[str, frozenset[str] | None]:
    """The operations allowed on each topic; None for one that is not there."""
    with closing(open_admin(settings)) as admin, kafka_errors(settings):
        described = {topic["name"]: topic for topic in admin.describe_topics(list(topics))}
    return {name: _allowed(described[name]) for name in topics}


def _allowed(described: Mapping[str, Any]) -> frozenset[str] | None:
    error = for_code(described["error_code"])
    if error is TopicAuthorizationFailedError:
        return frozenset()
    return frozenset(described["authorized_operations"] or ()) if error is NoError else None


def lacking(settings: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """For the role of the settings: topics that are not there, and rights that it lacks."""
    needed = NEEDED[settings.kafka_role]
    found = rights(settings, list(needed))
    absent = tuple(name for name in needed if found[name] is None)
    missing = tuple(
        f"{operation} on {name}"
        for name, operations in needed.items()
        if (has := found[name]) is not None
        for operation in sorted(operations - has)
    )
    return absent, missing
