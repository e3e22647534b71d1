from __future__ import annotations

import threading
import time
from collections import namedtuple
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError

from crypto_pipeline.contract.topic import SUMMARY, TICKS
from crypto_pipeline.errors import BrokerAwayError
from crypto_pipeline.settings import Settings, load
from crypto_pipeline.stream.tail import Follow, Tail, TailRecord, decode
from crypto_pipeline_tests.waiting import wait_until

Message = namedtuple("Message", "topic partition offset timestamp key value")
Found = namedtuple("Found", "offset timestamp")
NOW = datetime(2026, 11, 23, 10, 5, tzinfo=UTC)


class FakeBroker:
    """Partition logs in memory; `is_away` makes every request of every reader fail."""

    def __init__(self) -> None:
        self.logs: dict[tuple[str, int], list[Message]] = {}
        self.is_away = False
        self.readers: list[FakeReader] = []
        self.threads: set[str] = set()

    def add(
        self, topic: str, value: bytes, *, at: datetime | None = None, partition: int = 0
    ) -> None:
        log = self.logs.setdefault((topic, partition), [])
        moment = int((at or datetime.now(UTC)).timestamp() * 1000)
        log.append(Message(topic, partition, len(log), moment, b"binance|BTC-USDT", value))

    def open(self, settings: Settings) -> FakeReader:
        if self.is_away:
            raise BrokerAwayError("Kafka does not answer: start it with `make up`.")
        self.readers.append(FakeReader(self))
        return self.readers[-1]


class FakeReader:
    def __init__(self, broker: FakeBroker) -> None:
        self.broker = broker
        self.positions: dict[Any, int] = {}
        self.is_closed = False

    def _ask(self) -> None:
        if self.broker.is_away:
            raise KafkaTimeoutError("no answer")

    def partitions_for_topic(self, topic: str) -> set[int]:
        self._ask()
        return {number for name, number in self.broker.logs if name == topic}

    def assign(self, partitions: list[Any]) -> None:
        self.positions = dict.fromkeys(partitions, 0)

    def beginning_offsets(self, partitions: list[Any], timeout_ms: int) -> dict[Any, int]:
        self._ask()
        return dict.fromkeys(partitions, 0)

    def end_offsets(self, partitions: list[Any], timeout_ms: int) -> dict[Any, int]:
        self._ask()
        return {p: len(self.broker.logs[(p.topic, p.partition)]) for p in partitions}

    def offsets_for_times(self, times: dict[Any, int], timeout_ms: int) -> dict[Any, Any]:
        self._ask()
        return {
            p: next(
                (
                    Found(m.offset, m.timestamp)
                    for m in self.broker.logs[(p.topic, p.partition)]
                    if m.timestamp >= moment
                ),
                None,
            )
            for p, moment in times.items()
        }

    def seek(self, partition: Any, offset: int) -> None:
        self.positions[partition] = offset

    def poll(self, timeout_ms: int) -> dict[Any, list[Message]]:
        self.broker.threads.add(threading.current_thread().name)
        time.sleep(0.005)
        if self.broker.is_away:
            return {}
        found = {}
        for partition, position in self.positions.items():
            records = self.broker.logs[(partition.topic, partition.partition)][position:]
            if records:
                found[partition] = list(records)
                self.positions[partition] = position + len(records)
        return found

    def close(self, *, autocommit: bool, timeout_ms: int) -> None:
        self.is_closed = True


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def follow(broker: FakeBroker, tmp_path: Path):
    tails: list[Tail] = []

    def start(*follows: Follow, on_record: Callable[[TailRecord], None]) -> Tail:
        tail = Tail(
            load({}, env_file=tmp_path / "none"),
            follows,
            on_record=on_record,
            open_reader=broker.open,
            backoff_seconds=(0.01,),
            pulse_seconds=0.02,
        )
        tails.append(tail)
        tail.start()
        return tail

    yield start
    for tail in tails:
        tail.stop()
        assert tail.status.state == "stopped"
    assert all(reader.is_closed for reader in broker.readers)


TICKS_FOLLOWED = Follow(topic=TICKS, since=timedelta(hours=2))


def test_starts_so_far_back_as_asked_and_a_table_at_its_beginning(broker, follow):
    old, new = datetime.now(UTC) - timedelta(hours=3), datetime.now(UTC) - timedelta(hours=1)
    for topic in ("market.ticks", "market.summary"):
        broker.add(topic, b'{"is":"old"}', at=old)
        broker.add(topic, b'{"is":"new"}', at=new)
    seen: list[TailRecord] = []
    follow(TICKS_FOLLOWED, Follow(topic=SUMMARY), on_record=seen.append)
    wait_until(lambda: len(seen) == 3, seconds=5)
    told = [(record.topic, record.value["is"]) for record in seen]
    assert told.count(("market.ticks", "new")) == 1
    assert ("market.ticks", "old") not in told
    assert ("market.summary", "old") in told


def test_a_topic_with_only_older_records_begins_at_its_end(broker, follow):
    broker.add("market.ticks", b"{}", at=datetime.now(UTC) - timedelta(days=1))
    seen: list[TailRecord] = []
    tail = follow(TICKS_FOLLOWED, on_record=seen.append)
    wait_until(lambda: tail.status.state == "live", seconds=5)
    broker.add("market.ticks", b'{"is":"next"}')
    wait_until(lambda: len(seen) == 1, seconds=5)
    assert seen[0].value == {"is": "next"}


@pytest.mark.parametrize("value", [b"{", b"[1]", b'{"a":NaN}', b"\xff", b"[" * 100_000])
def test_a_malformed_record_is_counted_and_the_next_one_arrives(broker, follow, value):
    broker.add("market.ticks", value)
    broker.add("market.ticks", b'{"is":"good"}')
    seen: list[TailRecord] = []
    tail = follow(TICKS_FOLLOWED, on_record=seen.append)
    wait_until(lambda: len(seen) == 1, seconds=5)
    wait_until(lambda: tail.status.records == 2, seconds=5)
    assert tail.status.malformed == 1


def test_an_away_broker_is_told_with_its_reason_and_nothing_is_lost_or_repeated(broker, follow):
    broker.add("market.ticks", b'{"is":1}')
    seen: list[TailRecord] = []
    tail = follow(TICKS_FOLLOWED, on_record=seen.append)
    wait_until(lambda: len(seen) == 1, seconds=5)
    broker.is_away = True
    wait_until(lambda: tail.status.state == "away", seconds=5)
    since = tail.status.since
    assert "make up" in str(tail.status.reason)
    time.sleep(0.1)
    assert tail.status.since == since, "one absence has one beginning"
    broker.add("market.ticks", b'{"is":2}')
    broker.is_away = False
    wait_until(lambda: len(seen) == 2, seconds=5)
    assert [record.value["is"] for record in seen] == [1, 2]
    assert tail.status.state == "live"
    assert tail.status.reason is None


def test_a_topic_made_anew_is_read_from_the_time_asked(broker, follow):
    for _ in range(3):
        broker.add("market.ticks", b'{"is":"first life"}')
    seen: list[TailRecord] = []
    tail = follow(TICKS_FOLLOWED, on_record=seen.append)
    wait_until(lambda: len(seen) == 3, seconds=5)
    broker.is_away = True
    wait_until(lambda: tail.status.state == "away", seconds=5)
    broker.logs.clear()
    broker.add("market.ticks", b'{"is":"second life"}')
    broker.is_away = False
    wait_until(lambda: len(seen) == 4, seconds=5)
    assert seen[-1].value == {"is": "second life"}


def test_a_missing_topic_is_named_and_followed_once_it_exists(broker, follow):
    broker.add("market.ticks", b"{}")
    seen: list[TailRecord] = []
    tail = follow(TICKS_FOLLOWED, Follow(topic=SUMMARY), on_record=seen.append)
    wait_until(lambda: tail.status.missing == ("market.summary",), seconds=5)
    broker.add("market.summary", b"{}")
    wait_until(lambda: len(seen) == 2, seconds=5)
    assert tail.status.missing == ()


def test_one_thread_reads_and_none_is_left(broker, follow):
    broker.add("market.ticks", b"{}")
    seen: list[TailRecord] = []
    tail = follow(TICKS_FOLLOWED, on_record=seen.append)
    wait_until(lambda: len(seen) == 1, seconds=5)
    tail.stop()
    tail.stop()
    assert broker.threads == {"topic-tail"}
    assert "topic-tail" not in {thread.name for thread in threading.enumerate()}


def test_decode_keeps_the_broker_time_and_a_deleted_key():
    record = decode(Message("market.summary", 0, 7, NOW.timestamp() * 1000, b"a|b", None))
    assert (record.broker_at, record.key, record.value, record.size) == (NOW, "a|b", None, 0)
