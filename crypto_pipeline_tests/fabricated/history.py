"""What is laid down, as a value: the minutes, where they lie on the topics, when each was written.

Minute `n` is batch `n` of every stage, as it is when each minute is one cycle.
"""

from __future__ import annotations

import uuid
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from crypto_pipeline.contract import topic
from crypto_pipeline.contract.message import message_key
from crypto_pipeline.stage import Stage
from crypto_pipeline.stages import STAGES
from crypto_pipeline.stream.ranges import Span, TopicEnds, TopicSpan
from crypto_pipeline_tests.builders import MINUTE, SOURCE
from crypto_pipeline_tests.fabricated.market import Market

# After the poll the broker has its records, a batch of each topic at one instant.
BROKER = {
    topic.TICKS.name: timedelta(milliseconds=2_010),
    topic.CANDLES.name: timedelta(milliseconds=2_075),
    topic.POLLS.name: timedelta(milliseconds=2_190),
}
# Seconds after the poll: each stage plans, and commits.
SECONDS = (6.104217, 8.213904, 10.551868, 13.090331, 14.497162, 15.996713, 17.201559)
PLANNED = dict(zip((s.name for s in STAGES), SECONDS, strict=True))
COMMITTED_AFTER = 1.2
# A look of the upkeep comes between two cycles.
LOOK = timedelta(seconds=25)


@dataclass(frozen=True, kw_only=True)
class History:
    """`minutes` of a market up to `now`, whose records ended at `ends` on their topics.

    The upkeep looks each `look_every` minutes, as its sensor does; `lease_epoch` is in the commits.
    """

    market: Market
    minutes: int
    ends: TopicEnds
    look_every: int = 1
    lease_epoch: int = 0

    def planned_at(self, stage: Stage, number: int) -> datetime:
        return self.market.poll_at(number) + timedelta(seconds=PLANNED[stage.name])

    def committed_ms(self, stage: Stage, number: int) -> int:
        at = self.planned_at(stage, number) + timedelta(seconds=COMMITTED_AFTER)
        return round(at.timestamp() * 1000)

    def looked_at(self, number: int) -> datetime:
        return self.market.poll_at(number) + LOOK

    def write_id(self, key: str, number: int) -> str:
        """The same whenever it is asked; commits of one table and batch have one."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.market.begin}|{key}|{number}"))

    def broker_at(self, number: int, name: str) -> datetime:
        """When the broker appended the minute's records of a topic."""
        return self.market.poll_at(number) + BROKER[name]

    def partitions_of(self, name: str) -> list[int]:
        """The partition of each coin's records, as `stream.connection.KeyChecksum` chooses it."""
        count = len(self.ends.topics[name].partitions)
        keys = (message_key(SOURCE, symbol) for symbol in self.market.symbols)
        return [zlib.crc32(key) % count for key in keys]

    @cached_property
    def counts(self) -> dict[str, dict[int, int]]:
        """Records a minute by topic and partition; of some there are none."""
        found = {name: dict.fromkeys(t.partitions, 0) for name, t in self.ends.topics.items()}
        for name in (topic.TICKS.name, topic.CANDLES.name):
            for number in self.partitions_of(name):
                found[name][number] += 1
        found[topic.POLLS.name][0] = 1
        return found

    @cached_property
    def places(self) -> dict[str, list[tuple[int, int]]]:
        """By topic, of each coin's record: its partition, and its place in the minute there."""
        found: dict[str, list[tuple[int, int]]] = {topic.POLLS.name: [(0, 0)]}
        for name in (topic.TICKS.name, topic.CANDLES.name):
            seen = dict.fromkeys(self.ends.topics[name].partitions, 0)
            found[name] = []
            for number in self.partitions_of(name):
                found[name].append((number, seen[number]))
                seen[number] += 1
        return found

    def span(self, name: str, partition: int, number: int) -> Span:
        """Offsets of one minute: the last minute's end where the topics end now.

        On a topic that is younger than the history the first ones are below zero.
        """
        end = self.ends.topics[name].partitions[partition].end
        count = self.counts[name][partition]
        left = self.minutes - number
        return Span(end - count * (left + 1), end - count * left)


def history(
    *,
    minutes: int,
    symbols: int,
    ends: TopicEnds,
    now: datetime,
    look_every: int = 1,
    lease_epoch: int = 0,
) -> History:
    """The last of the minutes is that of `now`."""
    last = now.astimezone(UTC).replace(second=0, microsecond=0)
    market = Market(count=symbols, begin=last - minutes * MINUTE)
    return History(
        market=market, minutes=minutes, ends=ends, look_every=look_every, lease_epoch=lease_epoch
    )


def no_topics() -> TopicEnds:
    """Ends for a history without a broker: topics as they are made, and nothing on them."""
    return TopicEnds(
        cluster_id="no-cluster",
        topics={
            one.name: TopicSpan(
                topic_id=str(uuid.uuid5(uuid.NAMESPACE_URL, one.name)),
                partitions={number: Span(0, 0) for number in range(one.partitions)},
            )
            for one in topic.INGESTED
        },
    )
