"""Sends messages so that each is on the topic at least once, or says how many are not.

kafka-python's idempotence holds within one producer session and loses in-flight batches when
its epoch changes: their futures fail. So every future is kept and looked at, and what failed
is sent again, the same bytes under the same event id, by a new producer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec
from kafka import KafkaProducer
from kafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from crypto_pipeline.errors import BrokerAwayError, DeliveryError
from crypto_pipeline.settings import Settings
from crypto_pipeline.stream.connection import abandon_producer, open_producer
from crypto_pipeline.stream.ranges import Span

RESEND_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
# Sending the same bytes again cannot change these answers.
PERMANENT = (
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

Offsets = Mapping[str, Mapping[int, Span]]


# Made by the thousand: a Struct is built in a third of a dataclass's time.
class Outgoing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message as it will lie on its topic."""

    topic: str
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was acknowledged: `offsets` spans the first to one past the last, a partition."""

    count: int
    seconds: float
    offsets: Offsets


class MessagePublisher(Protocol):
    """What ingestion needs of a publisher: all acknowledged, or a StreamError."""

    def publish(self, messages: Sequence[Outgoing], *, deadline_seconds: float) -> Published: ...


class Publisher:
    """Publishes to Kafka; connects at the first message, one session until something fails."""

    def __init__(
        self,
        settings: Settings,
        *,
        connect: Callable[[Settings], KafkaProducer] = open_producer,
        pauses: Sequence[float] = RESEND_PAUSES,
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._pauses = pauses
        self._producer: KafkaProducer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is pending between two calls of `publish`, so this does not wait."""
        if self._producer is not None:
            abandon_producer(self._producer)
            self._producer = None

    def publish(self, messages: Sequence[Outgoing], *, deadline_seconds: float = 20.0) -> Published:
        """Send in order and wait for every acknowledgement.

        A broker that is away from the start is a BrokerAwayError at once; whatever goes wrong
        after the first send is tried again until the deadline, then DeliveryError.
        """
        started = time.monotonic()
        until = started + deadline_seconds
        if messages and self._producer is None:
            self._producer = self._connect(self._settings)
        acknowledged: list[Any] = []
        left, reason = self._round(messages, acknowledged, until)
        for pause in self._pauses:
            if not left or time.monotonic() + pause >= until:
                break
            time.sleep(pause)
            left, reason = self._round(left, acknowledged, until)
        if left:
            raise self._undelivered(len(left), len(messages), deadline_seconds, reason)
        return Published(
            count=len(messages),
            seconds=time.monotonic() - started,
            offsets=_spans(acknowledged),
        )

    def _round(
        self, messages: Sequence[Outgoing], acknowledged: list[Any], until: float
    ) -> tuple[Sequence[Outgoing], str]:
        """Send once; give back what has no acknowledgement, and why."""
        if not messages:
            return [], ""
        try:
            futures, reason = self._send(messages, until)
        except BrokerAwayError as error:
            return messages, str(error)
        left = list(messages[len(futures) :])
        for message, future in zip(messages, futures, strict=False):
            try:
                acknowledged.append(
                    future.value
                    if future.succeeded()
                    else future.get(timeout=max(0.0, until - time.monotonic()))
                )
            except PERMANENT as error:
                raise self._refused(message, error) from error
            except KafkaError as error:
                left.append(message)
                reason = reason or str(error)
        if left:
            # Batches of this session that are still under way must not arrive after the re-send.
            self.close()
        return left, reason

    def _send(self, messages: Sequence[Outgoing], until: float) -> tuple[list[Any], str]:
        """Hand over until the client balks; without metadata each further call would block."""
        if self._producer is None:
            self._producer = self._connect(self._settings)
        futures: list[Any] = []
        for message in messages:
            try:
                futures.append(self._producer.send(message.topic, message.value, message.key))
            except PERMANENT as error:
                raise self._refused(message, error) from error
            except KafkaError as error:
                return futures, str(error)
        with suppress(KafkaTimeoutError):
            # Nothing more comes, so nothing lingers; what is not sent by then says so itself.
            self._producer.flush(timeout=max(0.0, until - time.monotonic()))
        return futures, ""

    def _refused(self, message: Outgoing, error: KafkaError) -> DeliveryError:
        self.close()
        return DeliveryError(
            f"Kafka at {self._settings.kafka_address} refuses a message of "
            f"{len(message.value):,} bytes for {message.topic} ({error}). Sending it again will "
            "not help: check the topic's rights and max.message.bytes."
        )

    def _undelivered(
        self, unacknowledged: int, total: int, seconds: float, reason: str
    ) -> DeliveryError:
        return DeliveryError(
            f"Kafka at {self._settings.kafka_address} has not acknowledged {unacknowledged:,} of "
            f"{total:,} messages within {seconds:g} s ({reason}). Look whether the broker is "
            "well; what is in the spool is sent again at the next poll."
        )


def _spans(acknowledged: Sequence[Any]) -> Offsets:
    spans: dict[str, dict[int, Span]] = {}
    for record in acknowledged:
        partitions = spans.setdefault(record.topic, {})
        begin, end = partitions.get(record.partition, (record.offset, record.offset))
        partitions[record.partition] = Span(min(begin, record.offset), max(end, record.offset + 1))
    return spans
