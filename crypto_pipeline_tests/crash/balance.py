"""After the kills: what is lost and what is doubled, layer by layer, without a JVM."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from deltalake import DeltaTable
from kafka import TopicPartition

from crypto_pipeline.lake.opening import storage_options
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import BRONZE
from crypto_pipeline.stream.connection import open_consumer
from crypto_pipeline_tests.topics import NAMES

Place = tuple[str, int, int, int]
COORDINATES = ("topic", "epoch", "partition", "offset")


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Records or rows by layer that are missing, or there more than once."""

    lost: dict[str, int]
    doubled: dict[str, int]
    records: int

    @property
    def holds(self) -> bool:
        return not any(self.lost.values()) and not any(self.doubled.values())


def compare(layer: str, found: Counter[Any], expected: Counter[Any], into: Balance) -> None:
    into.lost[layer] = sum((expected - found).values())
    into.doubled[layer] = sum((found - expected).values())


def balance(settings: Settings, facts: set[str]) -> Balance:
    """Raw against the topics, bronze against raw, silver against the facts that were sent.

    Gold has a row a symbol and minute, predictions each id once; their values are the audit's.
    """
    topics = records_on_topics(settings)
    result = Balance(lost={}, doubled={}, records=sum(topics.values()))
    raw = once(settings, "raw/records", *COORDINATES)
    compare("raw", raw, topics, result)
    bronze = sum((once(settings, t.key, *COORDINATES) for t in BRONZE.outputs), Counter())
    compare("bronze", bronze, raw, result)
    silver = once(settings, "silver/ticks", "id") + once(settings, "silver/candles", "id")
    compare("silver", silver, Counter((fact,) for fact in facts), result)
    for key, names in (
        ("gold/candles_1m", ("source", "symbol", "minute_at")),
        ("gold/volatility", ("source", "symbol", "minute_at")),
        ("gold/market_summary", ("source", "symbol")),
        ("predictions/forecasts", ("id",)),
    ):
        found = once(settings, key, *names)
        compare(key, found, Counter(set(found)), result)
    return result


def records_on_topics(settings: Settings) -> Counter[Place]:
    """Coordinates of every record of the ingested topics, read from the first to the last."""
    found: Counter[Place] = Counter()
    with closing(open_consumer(settings)) as consumer:
        asked = [
            TopicPartition(name, number)
            for name in NAMES
            for number in consumer.partitions_for_topic(name)
        ]
        consumer.assign(asked)
        consumer.seek_to_beginning(*asked)
        ends = consumer.end_offsets(asked)
        while any(consumer.position(place) < ends[place] for place in asked):
            for place, records in consumer.poll(timeout_ms=1_000).items():
                found.update((place.topic, 0, place.partition, r.offset) for r in records)
    return found


def rows_of(settings: Settings, key: str, *columns: str) -> list[dict[str, Any]]:
    """These columns of a table, wherever the lake is."""
    options = storage_options(settings.store) if settings.is_lake_in_store else None
    table = DeltaTable(f"{settings.lake_root}/{key}", storage_options=options)
    return table.to_pyarrow_table(columns=list(columns)).to_pylist()


def once(settings: Settings, key: str, *columns: str) -> Counter[Any]:
    """How often each value of the columns is in the table."""
    rows = rows_of(settings, key, *columns)
    return Counter(tuple(row[name] for name in columns) for row in rows)
