"""Topics of the shared broker: what a test sends, and where its own part of them begins."""

from __future__ import annotations

from crypto_pipeline.contract import topic
from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import PollRecord
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import RAW
from crypto_pipeline.stream.publish import Outgoing, Publisher
from crypto_pipeline.stream.ranges import TopicEnds, read_ends
from crypto_pipeline.stream.topics import open_ready_producer
from crypto_pipeline_tests.builders import poll

TOPIC_OF = {
    Tick: topic.TICKS.name,
    Candle: topic.CANDLES.name,
    PollRecord: topic.POLLS.name,
}
NAMES = [topic.TICKS.name, topic.CANDLES.name, topic.POLLS.name, topic.REJECTED.name]


def outgoing(*facts: Tick | Candle | PollRecord | bytes) -> list[Outgoing]:
    return [
        Outgoing(topic=topic.TICKS.name, key=b"k", value=fact)
        if isinstance(fact, bytes)
        else Outgoing(topic=TOPIC_OF[type(fact)], key=fact.key, value=fact.encode())
        for fact in facts
    ]


def send(settings: Settings, *facts: Tick | Candle | PollRecord | bytes) -> None:
    with Publisher(settings, connect=open_ready_producer) as publisher:
        publisher.publish(outgoing(*facts), deadline_seconds=20)


def clipped(ends: TopicEnds, begin: TopicEnds) -> TopicEnds:
    """The topics as if everything before `begin` had been removed by retention."""
    topics = {
        name: type(spec)(
            topic_id=spec.topic_id,
            partitions={
                number: type(span)(begin.topics[name].partitions[number].end, span.end)
                for number, span in spec.partitions.items()
            },
        )
        for name, spec in ends.topics.items()
    }
    return TopicEnds(cluster_id=ends.cluster_id, topics=topics)


def reading_from_now(lake: Lake, settings: Settings) -> StageRunner:
    """Stages on a new lake that begin where the topics end now, since other tests send to them."""
    begin = read_ends(settings, NAMES)
    send(settings, poll())
    runner = StageRunner(
        lake=lake,
        read_ends=lambda: clipped(read_ends(settings, NAMES), begin),
        kafka_options={"kafka.bootstrap.servers": settings.kafka_address},
    )
    assert runner.run(RAW).rows_in == 1
    return runner
