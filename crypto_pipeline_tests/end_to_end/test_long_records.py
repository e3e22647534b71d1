"""A burst of long records neither fills the memory of Spark nor loses one of them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from deltalake import DeltaTable

from crypto_pipeline.bronze.schema import REJECTED
from crypto_pipeline.contract import topic
from crypto_pipeline.range_bytes import LOOSE
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import BRONZE, RAW, SILVER
from crypto_pipeline.topic_range import Bite
from crypto_pipeline_tests.chaos.messages import send
from crypto_pipeline_tests.spark_memory import LIMIT_MEBIBYTES, pid_of_spark, watched

pytestmark = [pytest.mark.spark, pytest.mark.integration, pytest.mark.timeout(900)]

# So many took a heap of 2 GB for good when they went into one bite, as values.
RECORDS = 100
BITE = Bite(bytes=64 * 1024 * 1024)
LENGTH = 950_000


def test_a_burst_of_long_records_after_short_ones_comes_through_in_bites(
    runner: StageRunner, servers: Settings
) -> None:
    """The short one is the fixture's poll."""
    for stage in (BRONZE, SILVER):
        assert runner.run(stage).balances
    runner = replace(runner, bite=BITE)
    long = [{"kind": "tick", "id": str(number), "body": "x" * LENGTH} for number in range(RECORDS)]
    send(servers, [(topic.TICKS.name, b"k", json.dumps(message).encode()) for message in long])
    taken = []
    with watched(pid_of_spark(servers)) as memory:
        for stage in (RAW, BRONZE, SILVER):
            while not (run := runner.run(stage)).is_empty:
                assert run.balances
                taken += [run.rows_in] if stage is RAW else []
    assert sum(taken) == RECORDS
    assert max(taken) * LENGTH <= LOOSE * BITE.bytes
    assert max(memory.samples) < LIMIT_MEBIBYTES
    table = DeltaTable(runner.lake.path(REJECTED)).to_pyarrow_table(columns=["offset"])
    assert table.num_rows == RECORDS
