"""What the raw stage plans with: where every partition begins and ends, and whose it is.

A cluster or topic that was made anew has the same names and starts again at offset 0; its
ids are what tells it apart, so they travel with the offsets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import NoError, for_code

from crypto_pipeline.errors import StreamError
from crypto_pipeline.settings import Settings
from crypto_pipeline.stream.connection import kafka_errors, open_admin


class Span(NamedTuple):
    """Offsets of one partition: the first that is kept, and the one after the last."""

    beginning: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpan:
    """One topic's id (a UUID as text) and the span of each of its partitions."""

    topic_id: str
    partitions: Mapping[int, Span]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicEnds:
    """All asked topics at one instant; `to_json` is what a commit's metadata can hold."""

    cluster_id: str
    topics: Mapping[str, TopicSpan]

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values; partition numbers become text, as JSON keys are.

        >>> span = TopicSpan(topic_id="a-b", partitions={0: Span(2, 7)})
        >>> TopicEnds(cluster_id="c", topics={"t": span}).to_json()
        {'cluster_id': 'c', 'topics': {'t': {'topic_id': 'a-b', 'partitions': {'0': [2, 7]}}}}
        """
        return {
            "cluster_id": self.cluster_id,
            "topics": {
                name: {
                    "topic_id": topic.topic_id,
                    "partitions": {str(n): list(span) for n, span in topic.partitions.items()},
                }
                for name, topic in self.topics.items()
            },
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TopicEnds:
        return cls(
            cluster_id=value["cluster_id"],
            topics={
                name: TopicSpan(
                    topic_id=topic["topic_id"],
                    partitions={int(n): Span(*span) for n, span in topic["partitions"].items()},
                )
                for name, topic in value["topics"].items()
            },
        )


def read_ends(settings: Settings, topics: Sequence[str]) -> TopicEnds:
    """Ask the broker for ids and offsets; a topic that is not there is a StreamError."""
    with closing(open_admin(settings)) as admin, kafka_errors(settings):
        cluster_id = admin.describe_cluster()["cluster_id"]
        described = {topic["name"]: topic for topic in admin.describe_topics(list(topics))}
        places = [place for name in topics for place in partitions_of(name, described[name])]
        beginnings = offsets_of(admin, places, OffsetSpec.EARLIEST)
        ends = offsets_of(admin, places, OffsetSpec.LATEST)
    spans = {place: Span(beginnings[place], ends[place]) for place in places}
    return TopicEnds(
        cluster_id=cluster_id,
        topics={
            name: TopicSpan(
                topic_id=str(described[name]["topic_id"]),
                partitions={
                    place.partition: span for place, span in spans.items() if place.topic == name
                },
            )
            for name in topics
        },
    )


def partitions_of(name: str, described: Mapping[str, Any]) -> list[TopicPartition]:
    """The places of a topic that a broker has described; raises StreamError where there is none."""
    error = for_code(described["error_code"])
    if error is not NoError:
        raise StreamError(
            f"Topic {name} cannot be read ({error.__name__}). Start the pipeline with `make up`, "
            "which creates its topics, or create it as the README says."
        )
    numbers = sorted(partition["partition_index"] for partition in described["partitions"])
    return [TopicPartition(name, number) for number in numbers]


def offsets_of(
    admin: KafkaAdminClient, places: Sequence[TopicPartition], spec: OffsetSpec
) -> dict[TopicPartition, int]:
    """The offset of each place at one end of what is kept."""
    found = admin.list_partition_offsets(dict.fromkeys(places, spec))
    return {place: found[place].offset for place in places}
