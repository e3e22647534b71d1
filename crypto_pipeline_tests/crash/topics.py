"""What the topics hold, judged: every poll whole, in order, and each fact under one id."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kafka import TopicPartition

from crypto_pipeline.contract import topic
from crypto_pipeline.contract.message import parse_time
from crypto_pipeline.settings import Settings
from crypto_pipeline.stream.connection import open_consumer
from crypto_pipeline.stream.ranges import read_ends


def records(settings: Settings, name: str) -> list[dict[str, Any]]:
    """All values of a topic, each partition in its own order."""
    ends = read_ends(settings, [name]).topics[name].partitions
    found: list[dict[str, Any]] = []
    with closing(open_consumer(settings)) as consumer:
        for number, span in ends.items():
            place = TopicPartition(name, number)
            consumer.assign([place])
            consumer.seek(place, span.beginning)
            while consumer.position(place) < span.end:
                for batch in consumer.poll(timeout_ms=1000).values():
                    found += [json.loads(record.value) for record in batch]
    return found


@dataclass(frozen=True, kw_only=True)
class Ticks:
    """The ticks on the topic by (symbol, minute), and the order in which they first came."""

    ids: dict[tuple[str, datetime], set[str]]
    first: dict[str, list[datetime]]
    total: int


def ticks(settings: Settings) -> Ticks:
    ids: dict[tuple[str, datetime], set[str]] = defaultdict(set)
    first: dict[str, list[datetime]] = defaultdict(list)
    found = records(settings, topic.TICKS.name)
    for record in found:
        key = (record["symbol"], parse_time(record["poll_at"]))
        if key not in ids:
            first[key[0]].append(key[1])
        ids[key].add(record["id"])
    return Ticks(ids=dict(ids), first=dict(first), total=len(found))


def assert_whole(settings: Settings, minutes: Iterable[datetime]) -> Ticks:
    """Each minute's poll record and each of its symbols' ticks are there, in poll order."""
    wanted = set(minutes)
    seen = ticks(settings)
    assert set(seen.ids) == {(s, m) for s in settings.symbols for m in wanted}
    assert {key: len(ids) for key, ids in seen.ids.items() if len(ids) != 1} == {}
    for symbol, order in seen.first.items():
        assert order == sorted(order), f"{symbol} came out of order"
    polls = {parse_time(p["poll_at"]) for p in records(settings, topic.POLLS.name)}
    assert polls == wanted
    return seen
