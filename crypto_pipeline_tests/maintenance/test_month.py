"""A month of 20 symbols at the default retention fits a laptop: the arithmetic, on real commits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from deltalake import DeltaTable

from crypto_pipeline.contract.topic import TOPICS
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.table import Table
from crypto_pipeline.pipeline import open_pipeline
from crypto_pipeline.resources.market import ingest
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import TABLES
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.benchmarks.cycle import one_cycle, stack
from crypto_pipeline_tests.crash.market import wait_for_a_minute
from crypto_pipeline_tests.maintenance.month import LIMIT_BYTES, Cost, bytes_kept

pytestmark = [pytest.mark.spark, pytest.mark.integration, pytest.mark.timeout(3600)]

# A minute lasts ten seconds, which a warm cycle needs.
SPEED = 6.0
# The first makes the tables and a day of candles, the next compile.
WARM = 6
# A multiple of what lies between two origins of the shortest horizon.
MINUTES = 60


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A table as it lies on disk: rows, and bytes in whole blocks."""

    rows: int
    files: int
    log: int


def blocks(files: Iterator[Path]) -> int:
    return sum(file.stat().st_blocks * 512 for file in files if file.is_file())


def taken(folder: Path) -> Taken:
    if log.open_table(str(folder)) is None:
        return Taken(rows=0, files=0, log=0)
    entries = blocks((folder / "_delta_log").rglob("*"))
    return Taken(
        rows=log.row_count(str(folder)), files=blocks(folder.rglob("*")) - entries, log=entries
    )


def look(settings: Settings) -> dict[Table, Taken]:
    return {table: taken(Path(settings.lake_root, table.key)) for table in TABLES}


def on_topics(settings: Settings) -> dict[str, int]:
    """Bytes of each topic's partitions."""
    log_dir = settings.home / "kafka" / "log"
    return {t.name: blocks(log_dir.glob(f"{t.name}-[0-9]*/*")) for t in TOPICS}


def dense(lake: Lake, table: Table) -> float:
    """Bytes a row once the table is compacted."""
    if not taken(Path(lake.path(table))).rows:
        return 0.0
    lake.spark.sql(f"OPTIMIZE delta.`{lake.path(table)}`").collect()
    files = [
        Path(name.removeprefix("file://")) for name in DeltaTable(lake.path(table)).file_uris()
    ]
    return blocks(iter(files)) / log.row_count(lake.path(table))


def minutes(settings: Settings, count: int) -> None:
    for _ in range(count):
        wait_for_a_minute(settings, speed=SPEED)
        ingest(settings)
        with open_pipeline(settings) as pipeline:
            one_cycle(pipeline)


def costs(
    lake: Lake, before: Mapping[Table, Taken], after: Mapping[Table, Taken]
) -> dict[str, Cost]:
    return {
        table.key: Cost(
            rows=(after[table].rows - before[table].rows) / MINUTES,
            dense=dense(lake, table),
            files=(after[table].files - before[table].files) / MINUTES,
            log=(after[table].log - before[table].log) / MINUTES,
        )
        for table in TABLES
    }


@pytest.mark.prove
@pytest.mark.skipif(
    not proof.is_full(), reason="what a minute costs; test_month_defaults.py has the rest"
)
def test_a_month_of_twenty_symbols_stays_below_five_gibibytes() -> None:
    """The watch-list of the defaults, on the simulator, with its fits, forecasts and scores."""
    with stack(speed=SPEED) as settings:
        claim = proof.begin("a-month-on-a-laptop", reduced=0, full=len(settings.symbols))
        minutes(settings, WARM)
        before, topics = look(settings), on_topics(settings)
        minutes(settings, MINUTES)
        after, then = look(settings), on_topics(settings)
        with open_pipeline(settings) as pipeline:
            measured = costs(pipeline.lake, before, after)
    a_minute = {name: (then[name] - size) / MINUTES for name, size in topics.items()}
    kept = bytes_kept(measured, topics=a_minute)
    said = {name: round(size / 1024**2) for name, size in kept.items()}
    assert sum(kept.values()) < LIMIT_BYTES, said
    grown = {key for key, cost in measured.items() if cost.rows > 0}
    assert {"raw/records", "silver/ticks", "gold/volatility", "predictions/scores"} <= grown
    claim.record(
        mebibytes=said,
        together=sum(said.values()),
        topics_a_minute=a_minute,
        a_minute={key: asdict(cost) for key, cost in measured.items()},
    )
