"""Topics as the contract declares them: made when we may, checked when they exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaTimeoutError, NoError, TopicAlreadyExistsError, for_code

from crypto_pipeline.contract.topic import TOPICS, Topic
from crypto_pipeline.errors import StreamError
from crypto_pipeline.settings import Settings
from crypto_pipeline.stream.connection import kafka_errors, open_admin, open_producer


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensured:
    """Which topics were made now, and which were there and as declared."""

    created: tuple[str, ...]
    existing: tuple[str, ...]


def ensure(settings: Settings, *, topics: Sequence[Topic] = TOPICS) -> Ensured:
    """Create what is missing with the cluster's own replication, then check everything."""
    with closing(open_admin(settings)) as admin, kafka_errors(settings):
        present = set(admin.list_topics())
        missing = [topic for topic in topics if topic.name not in present]
        if missing:
            _create(admin, missing)
        _check(admin, topics)
    created = {topic.name for topic in missing}
    return Ensured(
        created=tuple(topic.name for topic in missing),
        existing=tuple(topic.name for topic in topics if topic.name not in created),
    )


def open_ready_producer(settings: Settings) -> KafkaProducer:
    """A producer whose topics are there and as declared; the first message may then be sent."""
    ensure(settings)
    return open_producer(settings)


def _create(admin: KafkaAdminClient, topics: Sequence[Topic]) -> None:
    answer = admin.create_topics(
        {
            topic.name: {"num_partitions": topic.partitions, "configs": topic.config}
            for topic in topics
        },
        raise_errors=False,
    )
    for topic in answer["topics"]:
        error = for_code(topic["error_code"])
        # Another process may have been quicker; the check that follows is for both.
        if error not in (NoError, TopicAlreadyExistsError):
            raise StreamError(
                f"Topic {topic['name']} could not be created ({error.__name__}: "
                f"{topic.get('error_message')}). Have it created as "
                f"{_wanted(topics, topic['name'])}."
            )
    try:
        admin.wait_for_topics([topic.name for topic in topics])
    except KafkaTimeoutError as error:
        raise StreamError(f"New topics did not become ready: {error}. Try again.") from error


def _check(admin: KafkaAdminClient, topics: Sequence[Topic]) -> None:
    described = {topic["name"]: topic for topic in admin.describe_topics([t.name for t in topics])}
    configs = admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics],
        config_filter="all",
    ).get("topic", {})
    for topic in topics:
        found = len(described[topic.name]["partitions"])
        if found != topic.partitions:
            raise StreamError(
                f"Topic {topic.name} has {found} partitions, {topic.partitions} are expected. "
                f"Delete it, or create it as {_wanted(topics, topic.name)}."
            )
        _check_config(topic, configs.get(topic.name, {}))


def _check_config(topic: Topic, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Compare what is declared; without the right to look, the broker returns no config."""
    for name, wanted in topic.config.items():
        value = found.get(name, {}).get("value")
        if value is None or value == wanted:
            continue
        if name == "retention.ms" and (int(value) < 0 or int(value) > int(wanted)):
            continue
        raise StreamError(
            f"Topic {topic.name} has {name}={value}, {wanted} is expected. Set it with "
            f"`kafka-configs.sh --alter --topic {topic.name} --add-config {name}={wanted}`."
        )


def _wanted(topics: Sequence[Topic], name: str) -> str:
    topic = next(topic for topic in topics if topic.name == name)
    config = " ".join(f"--config {key}={value}" for key, value in topic.config.items())
    return f"`kafka-topics.sh --create --topic {name} --partitions {topic.partitions} {config}`"
