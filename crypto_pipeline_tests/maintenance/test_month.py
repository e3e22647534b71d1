"""A month of 20 symbols at the default retention fits a laptop: the arithmetic, on real commits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import row_count
from crypto_pipeline.lake.table import Table
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import STAGES
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.end_to_end.minutes import minute
from crypto_pipeline_tests.maintenance.month import LIMIT_BYTES, Cost, bytes_kept
from crypto_pipeline_tests.topics import send

pytestmark = [pytest.mark.spark, pytest.mark.integration]

SYMBOLS = 20
DENSE_MINUTES = 60
ALONE = 2


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
@pytest.mark.skipif(
    not proof.is_full(), reason="what a minute costs; test_month_defaults.py has the rest"
)
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
        table.key: Cost(
            rows=(after[table].rows - before[table].rows) / ALONE,
            dense=dense[table].files / max(1, dense[table].rows),
            files=(after[table].files - before[table].files) / ALONE,
            log=(after[table].log - before[table].log) / ALONE,
        )
        for table in after
    }
    a_minute = (on_disk(broker) - topics) / ALONE
    kept = bytes_kept(costs, topics_a_minute=a_minute)
    said = {name: round(size / 1024**2) for name, size in kept.items()}
    assert sum(kept.values()) < LIMIT_BYTES, said
    grown = {key for key, cost in costs.items() if cost.rows >= SYMBOLS}
    assert {"raw/records", "silver/ticks", "gold/candles_1m", "gold/volatility"} <= grown
    claim.record(
        mebibytes=said,
        together=sum(said.values()),
        topics_a_minute=round(a_minute),
        a_minute={key: asdict(cost) for key, cost in costs.items()},
    )
