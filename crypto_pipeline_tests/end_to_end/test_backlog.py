"""A backlog is drained in bounded bites, oldest first, and the memory of Spark stays flat."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from deltalake import DeltaTable

from crypto_pipeline.contract.poll import PollRecord
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import BRONZE, CANDLES, RAW, SILVER, VOLATILITY
from crypto_pipeline.stream.publish import Publisher
from crypto_pipeline.stream.ranges import read_ends
from crypto_pipeline.stream.topics import open_ready_producer
from crypto_pipeline.topic_range import WHOLE_BITE, Bite
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.end_to_end.minutes import minute
from crypto_pipeline_tests.spark_memory import LIMIT_MEBIBYTES, pid_of_spark, watched
from crypto_pipeline_tests.topics import NAMES, clipped, outgoing

pytestmark = [
    pytest.mark.spark,
    pytest.mark.integration,
    pytest.mark.prove,
    pytest.mark.timeout(7_200),
]

PARTITIONS = 8


@dataclass(frozen=True, kw_only=True)
class Size:
    """A day of a watch-list, then an hour of a whole venue."""

    minutes: int
    symbols: int
    venue_minutes: int
    venue_symbols: int
    bite: Bite


REDUCED = Size(
    minutes=20, symbols=2, venue_minutes=1, venue_symbols=80, bite=Bite(rows=120, bytes=500_000)
)
FULL = Size(minutes=1_440, symbols=20, venue_minutes=60, venue_symbols=3_600, bite=WHOLE_BITE)


def publish(settings: Settings, size: Size) -> tuple[int, set[str]]:
    """Records sent, and the ids that silver must have."""
    sent, ids = 0, set()
    with Publisher(settings, connect=open_ready_producer) as publisher:
        for number in range(size.minutes + size.venue_minutes):
            is_venue = number >= size.minutes
            facts = minute(number, size.venue_symbols if is_venue else size.symbols)
            publisher.publish(outgoing(*facts), deadline_seconds=60)
            sent += len(facts)
            ids |= {fact.id for fact in facts if not isinstance(fact, PollRecord)}
    return sent, ids


def test_a_days_backlog_and_a_whole_venues_hour_are_drained_in_bounded_bites(
    lake: Lake, servers: Settings
) -> None:
    claim = proof.begin("backlog", reduced=0, full=1)
    size = FULL if claim.count else REDUCED
    begin = read_ends(servers, NAMES)
    sent, ids = publish(servers, size)
    runner = StageRunner(
        lake=lake,
        read_ends=lambda: clipped(read_ends(servers, NAMES), begin),
        kafka_options={"kafka.bootstrap.servers": servers.kafka_address},
        bite=size.bite,
    )
    stages = (RAW, BRONZE, SILVER, CANDLES, VOLATILITY) if claim.count else (RAW, BRONZE, SILVER)
    figures: dict[str, object] = {}
    with watched(pid_of_spark(servers)) as memory:
        for stage in stages:
            begun, taken, left = time.monotonic(), [], None
            while not (run := runner.run(stage)).is_empty:
                assert run.balances
                assert left is None or run.left < left, "the backlog does not shrink"
                left = run.left
                taken.append(run.rows_in)
            assert left == 0
            # Rounding up gives each partition a record more; volatility widens nothing it reads.
            assert max(taken) <= size.bite.rows + PARTITIONS
            assert len(taken) > 1
            if stage in (RAW, BRONZE):
                assert sum(taken) == sent
            figures[stage.name] = [len(taken), sum(taken), round(time.monotonic() - begun)]
    tables = ("ticks", "candles")
    found = [
        row["id"]
        for name in tables
        for row in DeltaTable(f"{lake.root}/silver/{name}")
        .to_pyarrow_table(columns=["id"])
        .to_pylist()
    ]
    assert len(found) == len(ids)
    assert set(found) == ids
    assert max(memory.samples) < LIMIT_MEBIBYTES
    claim.record(
        records=sent,
        bites_rows_seconds=figures,
        resident_mebibytes={"first": round(memory.samples[0]), "peak": round(max(memory.samples))},
    )
