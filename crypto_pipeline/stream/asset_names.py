"""Names of the topics' assets under the key prefix `stream`, for whoever depends on them."""

from __future__ import annotations

from crypto_pipeline.contract.topic import INGESTED, Topic


def asset_name(topic: Topic) -> str:
    """Asset names cannot hold the topic's dot.

    >>> asset_name(INGESTED[0])
    'market_ticks'
    """
    return topic.name.replace(".", "_")


INGESTED_ASSETS = tuple(asset_name(topic) for topic in INGESTED)
