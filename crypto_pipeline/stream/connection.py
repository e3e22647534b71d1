"""The one place that spells kafka-python options, and that turns its errors into ours.

Since 3.0 a client's constructor asks the broker for its version, so opening one fails with
`KafkaTimeoutError` when nobody answers; the time-outs here keep that under ten seconds.
"""

from __future__ import annotations

import socket
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.cluster import ClusterMetadata
from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient
from kafka.partitioner.abc import Partitioner

from crypto_pipeline.errors import BrokerAwayError, StreamError
from crypto_pipeline.settings import Settings

DEFAULT_PORT = 9092
KNOCK_SECONDS = 3.0
ABANDON_SECONDS = 2.0


def client_config(settings: Settings) -> dict[str, Any]:
    """What every client shares; an away broker is an error within `bootstrap_timeout_ms`."""
    return {
        "bootstrap_servers": settings.kafka_address.split(","),
        "client_id": "crypto-pipeline",
        **settings.kafka.client_options(settings.kafka_role),
        "bootstrap_timeout_ms": 6_000,
        "request_timeout_ms": 8_000,
        "reconnect_backoff_ms": 50,
        # The default of 30 s would make a recovered broker look away for half a minute.
        "reconnect_backoff_max_ms": 1_000,
    }


def consumer_config(settings: Settings) -> dict[str, Any]:
    """Readers assign partitions and seek by themselves: no group, so no commit and no rebalance."""
    return {
        **client_config(settings),
        "group_id": None,
        "enable_auto_commit": False,
        "allow_auto_create_topics": False,
        "auto_offset_reset": "earliest",
        "fetch_max_wait_ms": 250,
    }


def producer_config(settings: Settings) -> dict[str, Any]:
    """`enable_idempotence` is said aloud: an option that contradicts it then raises.

    `allow_auto_create_topics` stays off because a topic made by accident has one partition
    and the producer's own timestamps.
    """
    return {
        **client_config(settings),
        "acks": "all",
        "enable_idempotence": True,
        "compression_type": "zstd",
        "linger_ms": 20,
        "batch_size": 256 * 1024,
        "max_block_ms": 8_000,
        "delivery_timeout_ms": 12_000,
        "allow_auto_create_topics": False,
        "partitioner": KeyChecksum(),
    }


class KeyChecksum(Partitioner):  # type: ignore[misc]
    """One key, one partition, as librdkafka's `consistent` has it: CRC-32 modulo partitions.

    kafka-python's own hash is the Java client's, in Python: a fifth of the time of a send.
    """

    def partition(
        self,
        topic: str,
        key: object,
        serialized_key: bytes,
        value: object,
        serialized_value: bytes | None,
        cluster: ClusterMetadata,
    ) -> int:
        return zlib.crc32(serialized_key) % len(cluster.partitions_for_topic(topic))


def open_admin(settings: Settings) -> KafkaAdminClient:
    return _open(KafkaAdminClient, settings, client_config(settings))


def open_consumer(settings: Settings, **options: Any) -> KafkaConsumer:
    """Open a reader without a topic; `options` go over `consumer_config`."""
    return _open(KafkaConsumer, settings, {**consumer_config(settings), **options})


def open_producer(settings: Settings) -> KafkaProducer:
    return _open(KafkaProducer, settings, producer_config(settings))


def abandon_producer(producer: KafkaProducer) -> None:
    """Close a producer that failed, so that nothing it still holds is sent later.

    A plain `close` raises while batches are unacknowledged and leaves its thread running; only
    the sender itself can be told to drop them.
    """
    producer._sender.force_close()
    producer._sender.join(ABANDON_SECONDS)
    with suppress(KafkaError):
        producer.close(timeout=0)


@contextmanager
def kafka_errors(settings: Settings) -> Iterator[None]:
    """Turn kafka-python's errors into ours: retriable means away, the rest is a refusal."""
    try:
        yield
    except KafkaError as error:
        if error.retriable:
            raise away(settings, str(error)) from error
        raise StreamError(
            f"Kafka at {settings.kafka_address} refused: {error}. Look into the broker's log."
        ) from error


def away(settings: Settings, reason: str) -> BrokerAwayError:
    return BrokerAwayError(
        f"Kafka does not answer at {settings.kafka_address} ({reason}): start it with `make up`, "
        "or set KAFKA_BOOTSTRAP_SERVERS."
    )


def _open(kind: Callable[..., Any], settings: Settings, config: dict[str, Any]) -> Any:
    """Construct a client; when its bootstrap fails, end the I/O thread that it started.

    A constructor that raises gives no object to close, so its network client is caught on
    the way in. The knock makes a broker that is not there an error at once.
    """
    _knock(settings)
    network: list[KafkaNetClient] = []

    def connect(**options: Any) -> KafkaNetClient:
        network.append(KafkaNetClient(**options))
        return network[-1]

    try:
        with kafka_errors(settings):
            return kind(**config, kafka_client=connect)
    except StreamError:
        for client in network:
            client._manager.close()
            client._net.stop(timeout_ms=1_000)
            client._net.close()
        raise


def _knock(settings: Settings) -> None:
    """Raise unless one bootstrap server accepts a connection."""
    reason = "no address"
    for address in settings.kafka_address.split(","):
        host, port = _split(settings, address.strip())
        try:
            socket.create_connection((host, port), timeout=KNOCK_SECONDS).close()
        except OSError as error:
            reason = str(error)
        else:
            return
    raise away(settings, reason)


def _split(settings: Settings, address: str) -> tuple[str, int]:
    """Take `host:port`; a bare host means Kafka's usual port, as it does for the client."""
    host, colon, port = address.rpartition(":")
    if not colon:
        return address, DEFAULT_PORT
    if not port.isdigit():
        raise away(settings, f"{address!r} is not host:port")
    return host.strip("[]"), int(port)
