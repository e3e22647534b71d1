"""Follow topics without a consumer group: every reader sees every record.

    tail = Tail(
        settings,
        [Follow(topic=TICKS, since=timedelta(hours=2))],
        on_record=lambda record: print(record.value),
    )
    tail.start()
    ...
    tail.stop()

One daemon thread owns the consumer, which is not thread-safe, and opens it lazily because
its constructor waits for the broker. A broker that goes away is noticed by a failing
look-up of end offsets: `poll` alone only returns nothing. On return the thread goes on
from the next offset it had not seen.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Literal, NoReturn

from kafka import TopicPartition

from crypto_pipeline.contract.topic import Topic
from crypto_pipeline.errors import StreamError
from crypto_pipeline.settings import Settings
from crypto_pipeline.stream.connection import kafka_errors, open_consumer

logger = logging.getLogger(__name__)

TailState = Literal["connecting", "live", "away", "stopped"]

POLL_MS = 500
PULSE_SECONDS = 3.0
PULSE_TIMEOUT_MS = 4_000
SEEK_TIMEOUT_MS = 8_000
BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """One topic and how far back to begin; a compacted topic is read from its beginning."""

    topic: Topic
    since: timedelta = timedelta(0)

    @property
    def is_table(self) -> bool:
        return "compact" in self.topic.config.get("cleanup.policy", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TailRecord:
    """One record, decoded; `value` is None where a compacted topic deletes `key`."""

    topic: str
    partition: int
    offset: int
    broker_at: datetime
    key: str
    value: dict[str, Any] | None
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TailStatus:
    """What the thread is doing, since when, and why it is away; replaced, never changed."""

    state: TailState
    since: datetime
    reason: str | None = None
    records: int = 0
    malformed: int = 0
    missing: tuple[str, ...] = ()


class Tail:
    """Calls `on_record` from its own thread, in partition order, at least once a record.

    `on_record` says "this is not what the topic promises" with ValueError: the record is
    counted as malformed and the tail goes on. `open_reader` is replaced in tests.
    """

    def __init__(
        self,
        settings: Settings,
        follows: Sequence[Follow],
        *,
        on_record: Callable[[TailRecord], None],
        open_reader: Callable[[Settings], Any] = open_consumer,
        backoff_seconds: Sequence[float] = BACKOFF_SECONDS,
        pulse_seconds: float = PULSE_SECONDS,
    ) -> None:
        self._settings = settings
        self._follows = {follow.topic.name: follow for follow in follows}
        self._on_record = on_record
        self._open_reader = open_reader
        self._backoff_seconds = backoff_seconds
        self._pulse_seconds = pulse_seconds
        self._next: dict[TopicPartition, int] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._status = TailStatus(state="connecting", since=datetime.now(UTC))

    @property
    def status(self) -> TailStatus:
        return self._status

    def start(self) -> None:
        """Begin in the background; returns at once, whether or not the broker is there."""
        if self._thread is not None:
            raise RuntimeError("This tail was started before. Make another one.")
        self._thread = threading.Thread(target=self._run, name="topic-tail", daemon=True)
        self._thread.start()

    def stop(self, *, timeout_seconds: float = 10.0) -> None:
        """End the thread and wait for it; a second call does nothing."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        try:
            failures = 0
            while not self._stopping.is_set():
                seen = self._status.records
                try:
                    self._follow_once()
                except StreamError as error:
                    failures = 1 if self._status.records > seen else failures + 1
                    self._enter("away", reason=str(error))
                    pause = self._backoff_seconds[min(failures, len(self._backoff_seconds)) - 1]
                    self._stopping.wait(pause)
        finally:
            # Also on an error of our own, so that no screen shows a dead reader as live.
            self._enter("stopped")

    def _follow_once(self) -> None:
        """Open a reader and feed from it until stopped, away, or a missing topic has appeared."""
        reader = self._open_reader(self._settings)
        try:
            with kafka_errors(self._settings):
                partitions = self._assign(reader)
                self._enter("live")
                self._read(reader, partitions)
        finally:
            with kafka_errors(self._settings):
                reader.close(autocommit=False, timeout_ms=1_000)

    def _assign(self, reader: Any) -> list[TopicPartition]:
        partitions: list[TopicPartition] = []
        missing: list[str] = []
        for name in self._follows:
            numbers = sorted(reader.partitions_for_topic(name))
            partitions += [TopicPartition(name, number) for number in numbers]
            if not numbers:
                missing.append(name)
        self._status = replace(self._status, missing=tuple(missing))
        reader.assign(partitions)
        for partition, offset in self._starts(reader, partitions).items():
            reader.seek(partition, offset)
            self._next[partition] = offset
        return partitions

    def _starts(self, reader: Any, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Where to go on: the next unseen offset, else by time or from the beginning."""
        if not partitions:
            return {}
        first = reader.beginning_offsets(partitions, timeout_ms=SEEK_TIMEOUT_MS)
        end = reader.end_offsets(partitions, timeout_ms=SEEK_TIMEOUT_MS)
        now = datetime.now(UTC)
        times = {
            partition: int((now - self._follows[partition.topic].since).timestamp() * 1000)
            for partition in partitions
            if not self._follows[partition.topic].is_table
        }
        by_time = reader.offsets_for_times(times, timeout_ms=SEEK_TIMEOUT_MS) if times else {}
        starts: dict[TopicPartition, int] = {}
        for partition in partitions:
            found = by_time.get(partition)
            fresh = end[partition] if found is None else found.offset
            if self._follows[partition.topic].is_table:
                fresh = first[partition]
            known = self._next.get(partition, -1)
            # An end below what we know means the topic was made anew: begin as if unknown.
            is_known = first[partition] <= known <= end[partition]
            starts[partition] = known if is_known else fresh
        return starts

    def _read(self, reader: Any, partitions: list[TopicPartition]) -> None:
        pulse_at = monotonic() + self._pulse_seconds
        while not self._stopping.is_set():
            for partition, records in reader.poll(timeout_ms=POLL_MS).items():
                for record in records:
                    self._take(record)
                    self._next[partition] = record.offset + 1
            if monotonic() < pulse_at:
                continue
            if any(reader.partitions_for_topic(name) for name in self._status.missing):
                return
            if partitions:
                reader.end_offsets(partitions, timeout_ms=PULSE_TIMEOUT_MS)
            pulse_at = monotonic() + self._pulse_seconds

    def _take(self, record: Any) -> None:
        status = self._status
        try:
            self._on_record(decode(record))
        except ValueError as error:
            logger.warning(
                "Record %s[%s]@%s is malformed and was left out: %s",
                record.topic,
                record.partition,
                record.offset,
                error,
            )
            status = replace(status, malformed=status.malformed + 1)
        self._status = replace(status, records=status.records + 1)

    def _enter(self, state: TailState, *, reason: str | None = None) -> None:
        """Say the state; `since` stays while the state does, so an absence has one beginning."""
        since = self._status.since if self._status.state == state else datetime.now(UTC)
        self._status = replace(self._status, state=state, since=since, reason=reason)


def decode(record: Any) -> TailRecord:
    """Read a consumer record; ValueError when it is not a JSON object with plain numbers."""
    return TailRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        broker_at=datetime.fromtimestamp(record.timestamp / 1000, UTC),
        key="" if record.key is None else record.key.decode(),
        value=None if record.value is None else _json_object(record.value),
        size=0 if record.value is None else len(record.value),
    )


def _json_object(value: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(value, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    if not isinstance(payload, dict):
        raise ValueError(f"a JSON object is expected, this is {type(payload).__name__}")
    return payload


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
