"""A witness outside the pipeline: what the broker had taken, and what the disk had, and when.

What was once visible to a reader was acknowledged, so it must still be there at the end; what was
once in the spool must come onto the topics.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from crypto_pipeline.contract.topic import INGESTED
from crypto_pipeline.errors import StreamError
from crypto_pipeline.settings import Settings
from crypto_pipeline.stream.connection import open_consumer
from crypto_pipeline.stream.frame import unpack
from crypto_pipeline.stream.spool import ENTRY, spool_folder
from crypto_pipeline_tests.waiting import wait_until

Place = tuple[str, int, int]
PAUSE_SECONDS = 0.5
SPOOL_SECONDS = 0.1
KEPT = 400
# A record of the market is a few kilobytes; what is larger was sent to do harm.
LARGEST = 65_536


@dataclass
class Recorder:
    """Two threads that only read, for as long as they run."""

    direct: Settings
    seen: dict[Place, str] = field(default_factory=dict)
    spooled: set[str] = field(default_factory=set)
    newest: deque[tuple[str, bytes, dict[str, Any]]] = field(
        default_factory=lambda: deque(maxlen=KEPT)
    )
    changed: list[Place] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        for work in (self._follow_topics, self._follow_spool):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(20)

    def recent(self, kind: str) -> list[dict[str, Any]]:
        """The newest genuine facts of a kind, newest last."""
        return [value for _, _, value in list(self.newest) if value.get("kind") == kind]

    def _follow_topics(self) -> None:
        """A broker that is gone is asked again, from where the reading was."""
        while not self._ended.is_set():
            try:
                consumer = open_consumer(self.direct)
            except StreamError:
                self._ended.wait(PAUSE_SECONDS)
                continue
            with suppress(KafkaError, ValueError):
                self._read(consumer)
            with suppress(KafkaError):
                consumer.close()

    def _read(self, consumer: KafkaConsumer) -> None:
        places = [TopicPartition(t.name, n) for t in INGESTED for n in range(t.partitions)]
        consumer.assign(places)
        for place in places:
            known = [o for name, n, o in self.seen if (name, n) == (place.topic, place.partition)]
            consumer.seek(place, max(known, default=-1) + 1)
        while not self._ended.is_set():
            for batch in consumer.poll(timeout_ms=500).values():
                for record in batch:
                    self._note(record)

    def _note(self, record: Any) -> None:
        place = (record.topic, record.partition, record.offset)
        digest = hashlib.sha256(record.value or b"").hexdigest()
        if self.seen.setdefault(place, digest) != digest:
            self.changed.append(place)
        if record.value and len(record.value) < LARGEST:
            with suppress(ValueError, RecursionError):
                value = json.loads(record.value)
                if isinstance(value, dict) and "id" in value and "record" in value:
                    self.newest.append((record.topic, record.key, value))

    def _follow_spool(self) -> None:
        """Each whole poll that the disk had: its file keeps its name until it is sent."""
        folder = spool_folder(self.direct)
        read: set[str] = set()
        while not self._ended.wait(SPOOL_SECONDS):
            for path in folder.glob(f"*{ENTRY}"):
                if path.name in read:
                    continue
                with suppress(OSError):
                    content = unpack(path.read_bytes())
                    if content.fault is None and content.has_final:
                        read.add(path.name)
                        self.spooled |= {digest_of(m.value) for m in content.messages}


def digest_of(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


def wait_until_read(
    recorder: Recorder, ends: dict[tuple[str, int], int], *, seconds: float
) -> None:
    """Until the reader has come to these ends."""
    last = {(name, number, end - 1) for (name, number), end in ends.items() if end}
    wait_until(
        lambda: all(one in recorder.seen for one in last),
        seconds=seconds,
        every=0.2,
        otherwise="the recorder does not come to the topics' ends",
    )
