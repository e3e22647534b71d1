"""A month of 20 symbols at the default retention fits a laptop: the arithmetic, on real commits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from crypto_pipeline.contract.topic import TICKS
from crypto_pipeline.keeping_settings import DAGSTER_DAYS, LAYER_DAYS
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import row_count
from crypto_pipeline.lake.table import PROPERTIES, Table
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import STAGES
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.end_to_end.minutes import minute
from crypto_pipeline_tests.resources.test_dagster_history import BOUND_BYTES_A_MINUTE
from crypto_pipeline_tests.topics import send

pytestmark = [pytest.mark.spark, pytest.mark.integration]

SYMBOLS = 20
MINUTES_A_DAY = 1_440
DAYS = 30
LIMIT_BYTES = 5 * 1024**3
DENSE_MINUTES = 60
ALONE = 2
# Small files stay two days after compaction took them, and vacuum comes once a day.
LOOSE_DAYS = 3
# Delta removes whole days of it.
LOG_DAYS = int(PROPERTIES["delta.logRetentionDuration"].split()[1]) + 1
CHECKPOINT_EVERY = int(PROPERTIES["delta.checkpointInterval"])
# A checkpoint names each file that was removed in the last two days; 95 bytes each were measured.
NAMED_DAYS = 2
CHECKPOINT_BYTES_A_FILE = 100
# A segment is closed after seven days at the latest, and kept until its last record is too old.
TOPIC_DAYS = int(TICKS.config["retention.ms"]) / 86_400_000 + 7


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One table: rows a minute, bytes on disk a row when compact, of a minute's files and log."""

    rows: float
    dense: float
    files: float
    log: float

    def bytes_kept(self, days: int) -> float:
        compact = self.rows * self.dense * days
        checkpoint = CHECKPOINT_BYTES_A_FILE * NAMED_DAYS * MINUTES_A_DAY if self.log else 0
        log = LOG_DAYS * (self.log + checkpoint / CHECKPOINT_EVERY)
        return MINUTES_A_DAY * (compact + self.files * LOOSE_DAYS + log)


@dataclass(frozen=True, kw_only=True)
class Taken:
    rows: int
    files: int
    log: int


def on_disk(folder: Path) -> int:
    """Bytes that the files take, whole blocks each."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


def taken(lake: Lake, table: Table) -> Taken:
    folder = Path(lake.path(table))
    log = on_disk(folder / "_delta_log")
    return Taken(rows=row_count(str(folder)), files=on_disk(folder) - log, log=log)


def look(lake: Lake) -> dict[Table, Taken]:
    return {table: taken(lake, table) for stage in STAGES for table in stage.outputs}


def cycle(runner: StageRunner, servers: Settings, numbers: range) -> dict[Table, Taken]:
    send(servers, *(fact for number in numbers for fact in minute(number, SYMBOLS)))
    for stage in STAGES:
        runner.run(stage)
    return look(runner.lake)


@pytest.mark.prove
@pytest.mark.skipif(not proof.is_full(), reason="arithmetic that changes with the defaults only")
def test_a_month_of_twenty_symbols_stays_below_five_gibibytes(
    runner: StageRunner, servers: Settings
) -> None:
    """An hour at once is as dense as a compacted file; minutes alone cost what a minute costs."""
    claim = proof.begin("a-month-on-a-laptop", reduced=0, full=SYMBOLS)
    broker = servers.home / "kafka" / "log"
    dense = cycle(runner, servers, range(DENSE_MINUTES))
    before, topics = dense, on_disk(broker)
    for number in range(DENSE_MINUTES, DENSE_MINUTES + ALONE):
        after = cycle(runner, servers, range(number, number + 1))
    costs = {
        table: Cost(
            rows=(after[table].rows - before[table].rows) / ALONE,
            dense=dense[table].files / max(1, dense[table].rows),
            files=(after[table].files - before[table].files) / ALONE,
            log=(after[table].log - before[table].log) / ALONE,
        )
        for table in after
    }
    kept = {
        table.key: cost.bytes_kept(min(DAYS, LAYER_DAYS[table.layer]))
        for table, cost in costs.items()
    }
    a_minute = (on_disk(broker) - topics) / ALONE
    kept["topics"] = a_minute * MINUTES_A_DAY * TOPIC_DAYS
    kept["dagster"] = BOUND_BYTES_A_MINUTE * MINUTES_A_DAY * (DAGSTER_DAYS + 1 / 24)
    said = {name: round(size / 1024**2) for name, size in kept.items()}
    assert sum(kept.values()) < LIMIT_BYTES, said
    grown = {table.key for table, cost in costs.items() if cost.rows >= SYMBOLS}
    assert {"raw/records", "silver/ticks", "gold/candles_1m", "gold/volatility"} <= grown
    claim.record(mebibytes=said, together=sum(said.values()))
