"""A burst of long records neither fills the memory of Spark nor loses one of them."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from deltalake import DeltaTable
from kafka import KafkaProducer

from crypto_pipeline.bronze.schema import REJECTED
from crypto_pipeline.contract import topic
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.range_bytes import LOOSE
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import BRONZE, RAW, SILVER
from crypto_pipeline.stream.ranges import read_ends
from crypto_pipeline.topic_range import Bite
from crypto_pipeline_tests.builders import poll
from crypto_pipeline_tests.spark_memory import LIMIT_MEBIBYTES, pid_of_spark, watched
from crypto_pipeline_tests.topics import NAMES, clipped, send

pytestmark = [pytest.mark.spark, pytest.mark.integration, pytest.mark.timeout(900)]

# So many took a heap of 2 GB for good when they went into one bite, as values.
RECORDS = 100
BITE = Bite(bytes=64 * 1024 * 1024)
LENGTH = 950_000


def test_a_burst_of_long_records_after_short_ones_comes_through_in_bites(
    lake: Lake, servers: Settings
) -> None:
    begin = read_ends(servers, NAMES)
    runner = StageRunner(
        lake=lake,
        read_ends=lambda: clipped(read_ends(servers, NAMES), begin),
        kafka_options={"kafka.bootstrap.servers": servers.kafka_address},
        bite=BITE,
    )
    send(servers, poll())
    for stage in (RAW, BRONZE, SILVER):
        assert runner.run(stage).balances
    with closing(
        KafkaProducer(
            bootstrap_servers=servers.kafka_address, acks="all", max_request_size=2 * LENGTH
        )
    ) as producer:
        for number in range(RECORDS):
            message = {"kind": "tick", "id": str(number), "body": "x" * LENGTH}
            producer.send(topic.TICKS.name, key=b"k", value=json.dumps(message).encode())
        producer.flush()
    taken = []
    with watched(pid_of_spark(servers)) as memory:
        for stage in (RAW, BRONZE, SILVER):
            while not (run := runner.run(stage)).is_empty:
                assert run.balances
                taken += [run.rows_in] if stage is RAW else []
    assert sum(taken) == RECORDS
    assert max(taken) * LENGTH <= LOOSE * BITE.bytes
    assert max(memory.samples) < LIMIT_MEBIBYTES
    table = DeltaTable(lake.path(REJECTED)).to_pyarrow_table(columns=["offset"])
    assert table.num_rows == RECORDS
