"""Against a real broker: topics, publishing, ends, and what an absent or silent one looks like."""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from kafka import TopicPartition

from crypto_pipeline.contract.topic import TOPICS, Topic
from crypto_pipeline.errors import BrokerAwayError, StreamError
from crypto_pipeline.settings import Settings, load
from crypto_pipeline.stream.connection import open_admin, open_consumer
from crypto_pipeline.stream.publish import Outgoing, Publisher
from crypto_pipeline.stream.ranges import Span, TopicEnds, read_ends
from crypto_pipeline.stream.topics import ensure
from crypto_pipeline.stream.waiting import next_position
from crypto_pipeline_tests.waiting import wait_until

LOG_APPEND_TIME = 1


@pytest.fixture
def topic(broker: Settings) -> Iterator[Topic]:
    made = replace(TOPICS[0], name=f"test.{uuid.uuid4().hex[:8]}")
    yield made
    with closing(open_admin(broker)) as admin:
        if made.name in admin.list_topics():
            admin.delete_topics([made.name])


@pytest.mark.integration
def test_topics_are_made_once_with_broker_time(broker: Settings, topic: Topic) -> None:
    assert ensure(broker, topics=[topic]).created == (topic.name,)
    assert ensure(broker, topics=[topic]).existing == (topic.name,)
    ensure(broker)
    assert set(ensure(broker).existing) == {declared.name for declared in TOPICS}


@pytest.mark.integration
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"partitions": 5}, "has 3 partitions, 5 are expected"),
        ({"config": {"cleanup.policy": "compact"}}, "has cleanup.policy=delete, compact is"),
        ({"config": {"retention.ms": str(10**12)}}, r"has retention.ms=\d+, 1000000000000 is"),
    ],
)
def test_a_topic_that_is_not_as_declared_is_a_sentence(
    broker: Settings, topic: Topic, change: dict[str, object], words: str
) -> None:
    ensure(broker, topics=[topic])
    with pytest.raises(StreamError, match=words):
        ensure(broker, topics=[replace(topic, **change)])


@pytest.mark.integration
def test_a_longer_retention_is_fine(broker: Settings, topic: Topic) -> None:
    ensure(broker, topics=[topic])
    shorter = replace(topic, config={"retention.ms": "1000"})
    assert ensure(broker, topics=[shorter]).existing == (topic.name,)


@pytest.mark.integration
def test_2000_messages_are_read_back_whole_and_in_order(broker: Settings, topic: Topic) -> None:
    ensure(broker, topics=[topic])
    messages = [
        Outgoing(topic=topic.name, key=b"s|%d" % (n % 20), value=b'{"n": %d}' % n)
        for n in range(2000)
    ]
    before = time.time() * 1000
    with Publisher(broker) as publisher:
        published = publisher.publish(messages[:1500])
        publisher.publish(messages[1500:])
    assert published.count == 1500
    ends = read_ends(broker, [topic.name])
    spans = ends.topics[topic.name].partitions
    assert set(spans) == {0, 1, 2}
    assert sum(span.end - span.beginning for span in spans.values()) == 2000
    assert sum(s.end - s.beginning for s in published.offsets[topic.name].values()) == 1500
    records = read_all(broker, topic.name, spans)
    assert all(record.timestamp_type == LOG_APPEND_TIME for record in records)
    assert all(before - 1000 < record.timestamp < time.time() * 1000 + 1000 for record in records)
    for key in {message.key for message in messages}:
        got = [json.loads(record.value)["n"] for record in records if record.key == key]
        assert got == [n for n in range(2000) if b"s|%d" % (n % 20) == key]


@pytest.mark.integration
def test_a_topic_made_anew_has_another_id(broker: Settings, topic: Topic) -> None:
    ensure(broker, topics=[topic])
    with Publisher(broker) as publisher:
        publisher.publish([Outgoing(topic=topic.name, key=b"k", value=b"v")])
    first = read_ends(broker, [topic.name])
    assert read_ends(broker, [topic.name]) == first
    assert TopicEnds.from_json(json.loads(json.dumps(first.to_json()))) == first
    with closing(open_admin(broker)) as admin:
        admin.delete_topics([topic.name])
        wait_until(lambda: topic.name not in admin.list_topics(), seconds=20)
    ensure(broker, topics=[topic])
    second = read_ends(broker, [topic.name])
    assert second.cluster_id == first.cluster_id
    assert second.topics[topic.name].topic_id != first.topics[topic.name].topic_id
    assert set(second.topics[topic.name].partitions.values()) == {Span(0, 0)}


@pytest.mark.integration
def test_a_missing_topic_is_a_sentence(broker: Settings) -> None:
    with pytest.raises(StreamError, match=r"Topic no\.such cannot be read"):
        read_ends(broker, ["no.such"])


def test_a_closed_port_is_said_at_once() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    settings = load({"MARKET": "simulated", "KAFKA_PORT": str(port)})
    started = time.monotonic()
    with pytest.raises(BrokerAwayError, match=rf"127\.0\.0\.1:{port} .*`make up`"):
        read_ends(settings, ["market.ticks"])
    assert time.monotonic() - started < 1


@pytest.mark.integration
@pytest.mark.parametrize("opened", [open_admin, open_consumer])
def test_a_silent_server_is_said_within_ten_seconds(opened: Callable[[Settings], object]) -> None:
    threads = threading.active_count()
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        settings = load({"MARKET": "simulated", "KAFKA_PORT": str(port)})
        started = time.monotonic()
        with pytest.raises(BrokerAwayError):
            opened(settings)
        assert time.monotonic() - started < 10
    assert threading.active_count() == threads


def test_an_address_without_a_port_number_is_said() -> None:
    settings = load({"MARKET": "simulated", "KAFKA_BOOTSTRAP_SERVERS": "broker:ninety"})
    with pytest.raises(BrokerAwayError, match="'broker:ninety' is not host:port"):
        read_ends(settings, ["market.ticks"])


def read_all(settings: Settings, topic: str, spans: dict[int, Span]) -> list[object]:
    records = []
    with closing(open_consumer(settings)) as consumer:
        places = [TopicPartition(topic, number) for number in spans]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        until = time.monotonic() + 20
        while any(consumer.position(p) < spans[p.partition].end for p in places):
            assert time.monotonic() < until
            for batch in consumer.poll(timeout_ms=500).values():
                records += batch
    return records


@pytest.mark.integration
def test_a_wait_for_the_next_record_ends_with_it_and_else_in_time(
    broker: Settings, topic: Topic
) -> None:
    ensure(broker, topics=[replace(topic, partitions=1)])
    first = next_position(broker, topic.name, known=None, seconds=30)
    assert first.endswith(":0")
    assert next_position(broker, topic.name, known=first, seconds=0.5) == first

    def send() -> None:
        with Publisher(broker) as publisher:
            publisher.publish([Outgoing(topic=topic.name, key=b"k", value=b"v")])

    sender = threading.Timer(0.3, send)
    sender.start()
    begun = time.monotonic()
    found = next_position(broker, topic.name, known=first, seconds=30)
    sender.join()
    assert found == first.removesuffix(":0") + ":1"
    assert time.monotonic() - begun < 15
    with pytest.raises(StreamError, match="no-such-topic"):
        next_position(broker, "no-such-topic", known=None, seconds=1)
