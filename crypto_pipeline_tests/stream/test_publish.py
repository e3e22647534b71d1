from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from kafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumberError,
)

from crypto_pipeline.errors import BrokerAwayError, DeliveryError
from crypto_pipeline.settings import Settings, load
from crypto_pipeline.stream.publish import Outgoing, Publisher
from crypto_pipeline.stream.ranges import Span
from crypto_pipeline_tests.stream.fakes import FakeFuture, ScriptedProducer

SETTINGS = load({"MARKET": "simulated"})
MESSAGES = [Outgoing(topic="market.ticks", key=b"k", value=b"%d" % n) for n in range(5)]


class Broker:
    """Sessions opened so far; they share a script and a log."""

    def __init__(self, script: list[Any]) -> None:
        self.script = script
        self.log: list[bytes] = []
        self.sessions: list[ScriptedProducer] = []
        self.refusals = 0

    def connect(self, settings: Settings) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise BrokerAwayError("Kafka does not answer.")
        self.sessions.append(ScriptedProducer(self.script, self.log))
        return self.sessions[-1]

    def publisher(self) -> Publisher:
        return Publisher(SETTINGS, connect=self.connect, pauses=(0.0, 0.0, 0.0))


def raises(error: Exception) -> Callable[[], FakeFuture]:
    def step() -> FakeFuture:
        raise error

    return step


def test_all_acknowledged_in_order_with_offsets() -> None:
    broker = Broker([])
    with broker.publisher() as publisher:
        published = publisher.publish(MESSAGES)
        assert publisher.publish([]).count == 0
    assert broker.log == [b"0", b"1", b"2", b"3", b"4"]
    assert published.count == 5
    assert published.offsets == {"market.ticks": {0: Span(0, 5)}}
    assert [session.is_dropped for session in broker.sessions] == [True]


def test_nothing_to_send_opens_no_connection() -> None:
    broker = Broker([])
    broker.publisher().publish([])
    assert broker.sessions == []


def test_failed_futures_are_sent_again_by_a_new_session() -> None:
    broker = Broker([None, OutOfOrderSequenceNumberError(), None, OutOfOrderSequenceNumberError()])
    published = broker.publisher().publish(MESSAGES)
    assert broker.log == [b"0", b"2", b"4", b"1", b"3"]
    assert published.count == 5
    assert [session.is_dropped for session in broker.sessions] == [True, False]


def test_a_send_that_raises_stops_the_round_and_the_rest_follows() -> None:
    broker = Broker([None, raises(KafkaTimeoutError("no metadata"))])
    broker.publisher().publish(MESSAGES)
    assert broker.log == [b"0", b"1", b"2", b"3", b"4"]


def test_a_broker_that_comes_back_between_rounds_gets_the_rest() -> None:
    broker = Broker([KafkaConnectionError("gone")] * 5)
    publisher = broker.publisher()
    original, tries = broker.connect, []

    def connect(settings: Settings) -> Any:
        tries.append(settings)
        if len(tries) == 2:
            raise BrokerAwayError("Kafka does not answer.")
        return original(settings)

    publisher._connect = connect
    assert publisher.publish(MESSAGES).count == 5
    assert len(tries) == 3


def test_a_broker_that_is_away_from_the_start_is_said_at_once() -> None:
    broker = Broker([])
    broker.refusals = 9
    started = time.monotonic()
    with pytest.raises(BrokerAwayError):
        broker.publisher().publish(MESSAGES)
    assert time.monotonic() - started < 1
    assert broker.refusals == 8


def test_the_deadline_names_how_many_are_unacknowledged() -> None:
    broker = Broker([None, None, *[FakeFuture] * 3])
    with pytest.raises(DeliveryError, match=r"has not acknowledged 3 of 5 messages within 0 s"):
        broker.publisher().publish(MESSAGES, deadline_seconds=0)


def test_rounds_are_bounded() -> None:
    broker = Broker([KafkaConnectionError("gone")] * 1000)
    with pytest.raises(DeliveryError, match=r"5 of 5 messages .*KafkaConnectionError: gone"):
        broker.publisher().publish(MESSAGES)
    assert len(broker.sessions) == 4
    assert all(session.is_dropped for session in broker.sessions)


@pytest.mark.parametrize(
    "step", [MessageSizeTooLargeError("big"), raises(MessageSizeTooLargeError("big"))]
)
def test_what_can_never_be_accepted_is_not_sent_again(step: Any) -> None:
    broker = Broker([step])
    with pytest.raises(DeliveryError, match=r"refuses a message of 1 bytes for market.ticks"):
        broker.publisher().publish(MESSAGES[:1])
    assert len(broker.sessions) == 1
    assert broker.log == []
