"""A topic that was created anew, and one whose records left before they were read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from deltalake import DeltaTable
from kafka import TopicPartition

from crypto_pipeline.adopt_topic import adopt
from crypto_pipeline.backfill.ledger import open_minutes
from crypto_pipeline.contract.topic import CANDLES, POLLS, TICKS, Topic
from crypto_pipeline.errors import TopicChangedError
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.rows import read_days
from crypto_pipeline.resources.lake import LOST_CHECK, nothing_lost
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.silver.schema import GAPS
from crypto_pipeline.stages import BRONZE, RAW, SILVER
from crypto_pipeline.stream.connection import open_admin
from crypto_pipeline.stream.publish import Outgoing, Publisher
from crypto_pipeline.stream.ranges import TopicEnds, read_ends
from crypto_pipeline.stream.topics import ensure
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.builders import AT, BTC, MINUTE, candle, poll, tick
from crypto_pipeline_tests.topics import clipped, send

pytestmark = [pytest.mark.spark, pytest.mark.integration]


@pytest.fixture
def own_topic(servers: Settings) -> Iterator[Topic]:
    """A topic that other tests do not know, so that it can be deleted and made anew."""
    topic = replace(TICKS, name=f"test.{uuid4().hex}", partitions=1)
    ensure(servers, topics=[topic])
    yield topic
    with closing(open_admin(servers)) as admin:
        admin.delete_topics([topic.name])


def put(settings: Settings, topic: Topic, *values: bytes) -> None:
    with Publisher(settings) as publisher:
        messages = [Outgoing(topic=topic.name, key=b"k", value=value) for value in values]
        publisher.publish(messages, deadline_seconds=20)


def reader(lake: Lake, settings: Settings, topic: Topic) -> StageRunner:
    return StageRunner(
        lake=lake,
        read_ends=lambda: read_ends(settings, [topic.name]),
        kafka_options={"kafka.bootstrap.servers": settings.kafka_address},
    )


def read(lake: Lake) -> list[tuple[int, int, bytes]]:
    rows = DeltaTable(lake.path(RAW.primary)).to_pyarrow_table().to_pylist()
    return sorted((row["epoch"], row["offset"], bytes(row["value"])) for row in rows)


def test_a_topic_made_anew_is_refused_with_a_sentence_until_it_is_adopted(
    lake: Lake, servers: Settings, own_topic: Topic
) -> None:
    runner = reader(lake, servers, own_topic)
    put(servers, own_topic, b"a", b"b")
    assert runner.run(RAW).rows_in == 2
    assert adopt(lake, runner.read_ends()) is None
    with closing(open_admin(servers)) as admin:
        admin.delete_topics([own_topic.name])
    ensure(servers, topics=[own_topic])
    put(servers, own_topic, b"c", b"d", b"e")
    for _ in range(2):
        with pytest.raises(TopicChangedError, match=r"created anew.*adopt-topic"):
            runner.run(RAW)
    assert len(read(lake)) == 2
    adoption = adopt(lake, runner.read_ends())
    assert adoption is not None
    assert (adoption.epoch, adoption.batch) == (1, 2)
    run = runner.run(RAW)
    assert (run.batch, run.rows_in, run.lost) == (3, 3, 0)
    assert read(lake) == [(0, 0, b"a"), (0, 1, b"b"), (1, 0, b"c"), (1, 1, b"d"), (1, 2, b"e")]
    assert adopt(lake, runner.read_ends()) is None
    assert runner.run(RAW).is_empty
    # The stages behind raw go on over the empty batch of the adoption.
    assert runner.run(BRONZE).rows_in == 5


def test_records_that_retention_took_are_counted_and_named_and_the_stage_goes_on(
    lake: Lake, servers: Settings, own_topic: Topic
) -> None:
    runner = reader(lake, servers, own_topic)
    put(servers, own_topic, b"a")
    runner.run(RAW)
    put(servers, own_topic, b"b", b"c", b"d")
    take_away(servers, own_topic, before=3)
    run = runner.run(RAW)
    assert (run.rows_in, run.lost) == (1, 2)
    assert [(offset, value) for _, offset, value in read(lake)] == [(0, b"a"), (3, b"d")]
    found = log.last_commit(lake.path(RAW.primary))
    assert found is not None
    assert found.ranges["kafka"]["gone"] == {own_topic.name: {"0": [1, 3]}}
    alarm = nothing_lost(RAW, run)
    assert (alarm.check_name, alarm.passed) == (LOST_CHECK, False)
    put(servers, own_topic, b"e", b"f")
    take_away(servers, own_topic, before=6)
    run = runner.run(RAW)
    assert (run.rows_in, run.lost, run.balances) == (0, 2, True)
    run = runner.run(RAW)
    assert run.is_empty
    assert nothing_lost(RAW, run).passed


def take_away(settings: Settings, topic: Topic, *, before: int) -> None:
    """What retention does, at once."""
    with closing(open_admin(settings)) as admin:
        admin.delete_records({TopicPartition(topic.name, 0): before})


TAKEN = {
    "everything": ((TICKS.name, CANDLES.name, POLLS.name), "no_poll"),
    "candles": ((CANDLES.name,), "served_never_received"),
}


@pytest.mark.prove
@pytest.mark.parametrize("what", TAKEN if proof.is_full() else ["everything"])
def test_minutes_that_retention_took_are_in_the_ledger_that_repair_works_off(
    lake: Lake, servers: Settings, what: str
) -> None:
    """Three of five minutes leave the topics before the lake has read them."""
    taken, cause = TAKEN[what]
    begin = read_ends(servers, [TICKS.name, CANDLES.name, POLLS.name])
    hidden: list[TopicEnds] = []

    def ends() -> TopicEnds:
        now = clipped(read_ends(servers, list(begin.topics)), begin)
        return without(now, hidden[0], taken) if hidden else now

    runner = StageRunner(
        lake=lake,
        read_ends=ends,
        kafka_options={"kafka.bootstrap.servers": servers.kafka_address},
    )
    send_minute(servers, 0)
    cycle(runner)
    for number in (1, 2, 3):
        send_minute(servers, number)
    hidden.append(read_ends(servers, list(begin.topics)))
    for number in (4, 5):
        send_minute(servers, number)
    run = runner.run(RAW)
    assert run.lost > 0
    cycle(runner)
    rows = read_days(lake.path(GAPS), since=AT.date())
    assert {row["cause"] for row in rows} == {cause}
    missing = {(one.symbol, one.minute_at) for one in open_minutes(rows)}
    # The poll of a minute brings the candle of the minute before it.
    assert missing == {(BTC, AT + n * MINUTE) for n in range(3)}


def send_minute(settings: Settings, number: int) -> None:
    at = AT + number * MINUTE
    record = poll(
        poll_at=at,
        started_at=at,
        ended_at=at + timedelta(seconds=1),
        symbols_asked=(BTC,),
        candles_due=(BTC,),
        candles=1,
    )
    send(settings, tick(poll_at=at), candle(open_at=at - MINUTE), record)


def cycle(runner: StageRunner) -> None:
    for stage in (RAW, BRONZE, SILVER):
        runner.run(stage)


def without(ends: TopicEnds, until: TopicEnds, taken: tuple[str, ...]) -> TopicEnds:
    """The taken topics as if all before `until` were gone."""
    cut = clipped(ends, until)
    return TopicEnds(
        cluster_id=ends.cluster_id,
        topics={n: cut.topics[n] if n in taken else ends.topics[n] for n in ends.topics},
    )
