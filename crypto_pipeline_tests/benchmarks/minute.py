"""From a poll to its forecast under `make up`: `python -m …benchmarks.minute --minutes 30`.

The stack as a user starts it, on the simulator at normal speed, 20 symbols. A minute's time goes
from the broker's time of its poll record to the commit of its forecast. Also told: when the run
began, and the memory of the whole stack.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deltalake import DeltaTable
from rich.console import Console

from crypto_pipeline import settings as settings_module
from crypto_pipeline.automation import CYCLE_JOB
from crypto_pipeline.contract.topic import POLLS
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.conftest import free_port
from crypto_pipeline_tests.embedded import stack

WARM = 2
PORTS = (
    "KAFKA_PORT", "KAFKA_CONTROLLER_PORT", "SPARK_PORT", "SIMULATOR_PORT", "CODE_SERVER_PORT",
    "DAGSTER_PORT", "DASHBOARD_PORT", "DASHBOARD_METRICS_PORT", "METRICS_PORT",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """One poll, in seconds after the full minute: its record, the run's start, the forecast."""

    at: float
    polled: float
    started: float
    forecast: float

    @property
    def seconds(self) -> float:
        return self.forecast - self.polled

    @property
    def before_the_run(self) -> float:
        return self.started - self.polled


def commits(path: str) -> list[float]:
    """When each commit of ours was made, in epoch seconds, oldest first."""
    entries = DeltaTable(path).history()
    return sorted(e["timestamp"] / 1000 for e in entries if "userMetadata" in e)


def polls(lake: str) -> list[float]:
    """The broker's time of each poll record, in epoch seconds, oldest first."""
    rows = DeltaTable(f"{lake}/raw/records").to_pyarrow_table(
        columns=["broker_at"], filters=[("topic", "=", POLLS.name)]
    )
    return sorted(at.timestamp() for at in rows.column("broker_at").to_pylist())


def run_starts(settings: Settings) -> list[float]:
    """When each cycle's process began its run, by Dagster's own record."""
    database = settings.home / "dagster" / "history" / "runs.db"
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT start_time FROM runs WHERE pipeline_name = ? AND start_time IS NOT NULL",
            (CYCLE_JOB,),
        )
        return sorted(row[0] for row in rows)


def minutes(settings: Settings) -> list[Minute]:
    """Every poll that a forecast followed, the first ones left out."""
    forecasts = commits(f"{settings.lake_root}/predictions/forecasts")
    starts = run_starts(settings)
    found = []
    for polled in polls(settings.lake_root):
        forecast = next((at for at in forecasts if at > polled), None)
        started = next((at for at in starts if at > polled), None)
        if forecast is not None and started is not None:
            at = polled - polled % 60
            found.append(Minute(at=at, polled=polled, started=started, forecast=forecast))
    return found[WARM:]


def resident_mebibytes(pids: Sequence[int]) -> float:
    """Memory of the processes, shared pages divided among those that share them."""
    total = 0
    for pid in pids:
        try:
            rolled = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in rolled.splitlines() if line[:4] == "Pss:")
    return total / 1024


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    given = parser.parse_args(arguments)
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        values = {name: str(free_port()) for name in PORTS}
        values |= {"STATE_DIR": folder, "MARKET": "simulated"}
        settings = settings_module.load(values, env_file=Path(folder) / "no.env")
        os.environ.update(values)
        with stack.running(settings) as up:
            up.wait_for("look at first|What to look at|Ctrl-C", seconds=300)
            until = time.monotonic() + given.minutes * 60
            while time.monotonic() < until:
                time.sleep(5)
            memory = resident_mebibytes([one.pid for one in up.members()])
            found = minutes(settings)
    for one in found:
        console.print(
            f"{datetime.fromtimestamp(one.at, tz=UTC):%H:%M} poll +{one.polled - one.at:.1f} s, "
            f"run {one.before_the_run:.1f} s after it, forecast {one.seconds:.1f} s after it"
        )
    seconds = sorted(one.seconds for one in found)
    console.print(
        f"{len(found)} minutes: poll to forecast median {statistics.median(seconds):.1f} s, "
        f"p95 {seconds[int(len(seconds) * 0.95) - 1]:.1f} s; poll to the run's start "
        f"{statistics.median(one.before_the_run for one in found):.1f} s; the whole stack holds "
        f"{memory:,.0f} MiB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
