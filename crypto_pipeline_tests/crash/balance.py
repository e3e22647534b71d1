"""After the kills: what is lost and what is doubled, layer by layer, without a JVM."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from deltalake import DeltaTable
from kafka import TopicPartition

from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import BRONZE
from crypto_pipeline.stream.connection import open_consumer
from crypto_pipeline_tests.topics import NAMES

Place = tuple[str, int, int, int]
# Doubles of two computations of one value may differ in their last bits.
RELATIVE = 1e-9
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


def balance(settings: Settings, facts: set[str], recomputed_root: str) -> Balance:
    """Raw against the topics, bronze against raw, silver against the facts, gold against itself."""
    root = settings.lake_root
    topics = records_on_topics(settings)
    result = Balance(lost={}, doubled={}, records=sum(topics.values()))
    raw = places(root, "raw/records")
    compare("raw", raw, topics, result)
    bronze = sum((places(root, table.key) for table in BRONZE.outputs), Counter())
    compare("bronze", bronze, raw, result)
    ids = Counter(
        row["id"] for key in ("silver/ticks", "silver/candles") for row in rows(root, key)
    )
    compare("silver", ids, Counter(facts), result)
    for key in ("gold/candles_1m", "gold/volatility", "gold/market_summary"):
        compare(key, values(root, key), values(recomputed_root, key), result)
    forecasts = Counter(row["id"] for row in rows(root, "predictions/forecasts"))
    compare("predictions", forecasts, Counter(set(forecasts)), result)
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


def rows(root: str, key: str) -> list[dict[str, Any]]:
    return list(DeltaTable(f"{root}/{key}").to_pyarrow_table().to_pylist())


def places(root: str, key: str) -> Counter[Place]:
    table = DeltaTable(f"{root}/{key}").to_pyarrow_table(columns=list(COORDINATES))
    return Counter(tuple(row[name] for name in COORDINATES) for row in table.to_pylist())


def values(root: str, key: str) -> Counter[Any]:
    """Rows without their batch; doubles to nine significant digits."""
    return Counter(
        tuple((name, rounded(row[name])) for name in sorted(row) if name != "batch")
        for row in rows(root, key)
    )


def rounded(value: object) -> object:
    if not isinstance(value, float):
        return value
    if value == 0 or not math.isfinite(value):
        return repr(value)
    return f"{value:.9g}"
