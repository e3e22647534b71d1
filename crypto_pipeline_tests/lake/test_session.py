"""A writer's session: what a killed client left running is stopped before its successor reads."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from deltalake import DeltaTable

from crypto_pipeline.lake.session import connect, disconnect
from crypto_pipeline.settings import Settings, process_environment

pytestmark = [pytest.mark.spark, pytest.mark.integration]

SLEEP_SECONDS = 5
# Two rows in two tasks: the first file shows that the write is under way, the second row sleeps.
CLIENT = f"""
import sys
from crypto_pipeline import settings
from crypto_pipeline.lake.session import connect
spark = connect(settings.load())
rows = spark.range(1).selectExpr("id", "CAST(NULL AS STRING) AS name")
rows.write.format("delta").save(sys.argv[1])
slow = spark.range(0, 2, 1, 2).selectExpr(
    "id", "reflect('java.util.concurrent.locks.LockSupport', 'parkNanos', "
    "CASE WHEN id = 1 THEN {SLEEP_SECONDS}000000000L ELSE 0L END) AS name"
)
print("writing", flush=True)
slow.write.format("delta").mode("append").save(sys.argv[1])
"""


def test_a_killed_clients_write_is_stopped_and_never_commits(
    servers: Settings, tmp_path: Path
) -> None:
    table = tmp_path / "table"
    # A lake of its own, whose writer's session no other test has.
    settings = replace(servers, lake_root_setting=str(tmp_path / "lake"))
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(table)],
        env={**process_environment(), **settings.environment()},
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        wait_for_a_file(table, client)
        begun = time.monotonic()
        client.send_signal(signal.SIGKILL)
    successor = connect(settings)
    try:
        # The server would go on alone: nothing but the interruption keeps the row out.
        while time.monotonic() < begun + SLEEP_SECONDS + 3:
            assert DeltaTable(str(table)).version() == 0
            time.sleep(0.2)
        assert successor.range(3).count() == 3
    finally:
        disconnect(successor)


def wait_for_a_file(table: Path, client: subprocess.Popen[str]) -> None:
    """Until the write is under way: its first task has ended, its second one sleeps."""
    assert client.stdout is not None
    assert client.stdout.readline() == "writing\n"
    files = len(list(table.glob("*.parquet")))
    until = time.monotonic() + 60
    while len(list(table.glob("*.parquet"))) == files:
        assert client.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
