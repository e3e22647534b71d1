"""How fast a poll is published, against a bare producer: `python -m …benchmarks.publish`.

A bare, tuned kafka-python producer and our way send the same bytes to the same broker in turn
(A-B-A-B, medians of pairs). Two sizes: a whole-venue poll with spool, facts, poll record and
marks, from the last byte received to the last acknowledgement; and 100,000 messages at once.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta

from kafka import KafkaProducer
from kafka.partitioner import DefaultPartitioner

from crypto_pipeline.contract.poll import PollRecord
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.contract.topic import POLLS, TICKS
from crypto_pipeline.embedded.running import services
from crypto_pipeline.settings import Settings
from crypto_pipeline.source import binance_rows
from crypto_pipeline.source.binance import TICKER
from crypto_pipeline.source.venue import Origin
from crypto_pipeline.stream.connection import producer_config
from crypto_pipeline.stream.deliver import deliver
from crypto_pipeline.stream.publish import Outgoing, Published, Publisher
from crypto_pipeline.stream.spool import Spool
from crypto_pipeline.stream.topics import ensure, open_ready_producer
from crypto_pipeline_tests.benchmarks.figure import Figure, Loop, fixed_loop, keep
from crypto_pipeline_tests.benchmarks.place import place

PAIRS = 7
VENUE = 3_600
MANY = 100_000
AT = datetime(2026, 11, 23, 10, 5, tzinfo=UTC)


def whole_venue() -> tuple[str, dict[str, str]]:
    """A ticker body of 3,600 pairs in Binance's own shape, with the digits of a real market.

    Digits are random, as in the recorded tickers, because both ways compress what they write.
    """
    names = {f"C{n}USDT": f"C{n}-USDT" for n in range(VENUE)}
    digits = random.Random(7)

    def amount(size: float) -> str:
        return f"{digits.uniform(0.1, 1) * size:.8f}"

    rows = []
    for n, name in enumerate(names):
        price = 10 ** digits.uniform(-3, 5)
        row = {
            "symbol": name, "priceChange": amount(price / 100), "priceChangePercent": "0.942",
            "weightedAvgPrice": amount(price), "prevClosePrice": amount(price),
            "lastPrice": amount(price), "lastQty": amount(9), "bidPrice": f"{price / 20:.8f}",
            "bidQty": amount(250), "askPrice": f"{price:.8f}", "askQty": amount(250),
            "openPrice": amount(price), "highPrice": amount(price), "lowPrice": amount(price),
            "volume": amount(1e6), "quoteVolume": amount(1e9),
            "openTime": 1732226400000 + n, "closeTime": 1732312800000 + n,
            "firstId": digits.randrange(10**9), "lastId": digits.randrange(10**9),
            "count": digits.randrange(10**6),
        }  # fmt: skip
        rows.append(row)
    return json.dumps(rows, separators=(",", ":")), names


def poll_of(body: str, names: dict[str, str], poll_at: datetime) -> tuple[list[Tick], PollRecord]:
    origin = Origin(
        market="simulated",
        source="simulator:binance:7",
        venue="binance",
        poll_at=poll_at,
        observed_at=poll_at,
        endpoint=TICKER,
    )
    ticks, rejected = binance_rows.parse_snapshot(body, origin=origin, names=names)
    assert not rejected
    poll = PollRecord(
        market=origin.market,
        source=origin.source,
        venue=origin.venue,
        poll_at=poll_at,
        started_at=poll_at,
        ended_at=poll_at,
        endpoint=TICKER,
        purpose="minute",
        outcome="ok",
        reason=None,
        symbols_asked=tuple(names.values()),
        served=len(ticks),
        published=len(ticks),
        unchanged=0,
        rejected=0,
        candles=0,
        budget_used=80,
    )
    return ticks, poll


def bare(settings: Settings, messages: Sequence[Outgoing], *, has_our_hash: bool = False) -> float:
    """Send with nothing around: connected, metadata known, to the last ack.

    Options are ours; keys are hashed as kafka-python does it by itself, unless ours is asked for.
    """
    own_hash = {} if has_our_hash else {"partitioner": DefaultPartitioner()}
    with closing(KafkaProducer(**producer_config(settings) | own_hash)) as producer:
        producer.partitions_for(TICKS.name)
        producer.partitions_for(POLLS.name)
        started = time.perf_counter()
        futures = [producer.send(m.topic, m.value, m.key) for m in messages]
        producer.flush()
        seconds = time.perf_counter() - started
        assert all(future.succeeded() for future in futures)
    return seconds


class TimedPublisher(Publisher):
    """Knows when the last acknowledgement came; trim and mark come after it."""

    def publish(self, messages: Sequence[Outgoing], *, deadline_seconds: float = 20.0) -> Published:
        published = super().publish(messages, deadline_seconds=deadline_seconds)
        self.acknowledged_at = time.perf_counter()
        return published


def ours_poll(settings: Settings, body: str, names: dict[str, str], number: int) -> float:
    """From the body in hand to the last ack: parse, encode, spool, facts, poll record."""
    with (
        Spool(settings.home / f"spool-{number}", limit_bytes=10**9) as spool,
        TimedPublisher(settings, connect=open_ready_producer) as publisher,
    ):
        publisher.publish([Outgoing(topic=POLLS.name, key=b"warm", value=b"{}")])
        started = time.perf_counter()
        ticks, poll = poll_of(body, names, AT + timedelta(minutes=number))
        messages = [Outgoing(topic=TICKS.name, key=t.key, value=t.encode()) for t in ticks]
        final = Outgoing(topic=POLLS.name, key=poll.key, value=poll.encode())
        spool.append(messages, final, poll_at=poll.poll_at)
        deliver(spool, publisher, deadline_seconds=60, patience_seconds=60)
        return publisher.acknowledged_at - started


def ours_many(settings: Settings, messages: Sequence[Outgoing]) -> float:
    with Publisher(settings, connect=open_ready_producer) as publisher:
        publisher.publish([Outgoing(topic=POLLS.name, key=b"warm", value=b"{}")])
        started = time.perf_counter()
        publisher.publish(messages, deadline_seconds=120)
        return time.perf_counter() - started


def paired(a: Callable[[int], float], b: Callable[[int], float]) -> list[tuple[float, float]]:
    a(-1), b(-2)
    return [(a(n), b(n)) for n in range(PAIRS)]


def measure(settings: Settings) -> list[Figure]:
    body, names = whole_venue()
    ticks, poll = poll_of(body, names, AT)
    messages = [Outgoing(topic=TICKS.name, key=t.key, value=t.encode()) for t in ticks]
    final = Outgoing(topic=POLLS.name, key=poll.key, value=poll.encode())
    many = [messages[n % VENUE] for n in range(MANY)]
    venue = paired(
        lambda n: bare(settings, [*messages, final]),
        lambda n: ours_poll(settings, body, names, n + 10),
    )
    hashed = paired(
        lambda n: bare(settings, [*messages, final], has_our_hash=True),
        lambda n: ours_poll(settings, body, names, n + 100),
    )
    bulk = paired(lambda n: bare(settings, many), lambda n: ours_many(settings, many))
    return [
        Figure(name="whole-venue poll", unit="s", pairs=venue, limit=1.5),
        Figure(name="the same, bare with our key hash", unit="s", pairs=hashed, limit=1.5),
        Figure(
            name="100,000 messages",
            unit="a second",
            pairs=[(MANY / x, MANY / y) for x, y in bulk],
            least=0.85,
        ),
    ]


def main() -> int:
    begin = fixed_loop()
    with place() as settings, services(settings, ["broker"]):
        ensure(settings)
        found = measure(settings)
    acks = producer_config(settings)["acks"]
    holds = keep("publish", found, loop=Loop(begin=begin, end=fixed_loop()), more={"acks": acks})
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
