"""The last record of a topic: where a publication finds how far it came."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from kafka import TopicPartition

from crypto_pipeline.settings import Settings
from crypto_pipeline.stream.connection import kafka_errors, open_consumer

FETCH_MS = 5_000


def newest_record(settings: Settings, name: str) -> Mapping[str, Any]:
    """The last record of a one-partition topic; empty when it has none."""
    place = TopicPartition(name, 0)
    with closing(open_consumer(settings)) as consumer, kafka_errors(settings):
        consumer.assign([place])
        end = consumer.end_offsets([place])[place]
        start = consumer.beginning_offsets([place])[place]
        if end <= start:
            return {}
        consumer.seek(place, end - 1)
        found = consumer.poll(timeout_ms=FETCH_MS, max_records=1)
        for records in found.values():
            return dict(json.loads(records[-1].value))
    return {}
