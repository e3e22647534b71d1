"""A real cycle goes on where a fabricated history ends: takes what is new, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable

from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.maintenance.perform import perform
from crypto_pipeline.maintenance.table_files import VACUUMED_PROPERTY, inspect
from crypto_pipeline.maintenance.work import Limits, compactions
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.stage_run import StageRun
from crypto_pipeline.stages import STAGES
from crypto_pipeline.stream.ranges import read_ends
from crypto_pipeline_tests.builders import MINUTE
from crypto_pipeline_tests.fabricated.fabricate import fabricate
from crypto_pipeline_tests.fabricated.history import History
from crypto_pipeline_tests.topics import NAMES, send

pytestmark = [pytest.mark.spark, pytest.mark.integration]

# A checkpoint, compacted files, and an hour for every window of the forecasts.
MINUTES = 130
SYMBOLS = 3


@pytest.fixture
def laid(lake: Lake, servers: Settings) -> History:
    now = datetime.now(UTC) - 2 * MINUTE
    ends = read_ends(servers, NAMES)
    return fabricate(Path(lake.root), minutes=MINUTES, symbols=SYMBOLS, ends=ends, now=now)


@pytest.fixture
def runs(lake: Lake, servers: Settings, laid: History) -> dict[str, StageRun]:
    """A cycle over one new minute, and over a tick that the history has."""
    again = laid.market.facts(MINUTES)[0]
    send(servers, *laid.market.facts(MINUTES + 1), again)
    runner = StageRunner(
        lake=lake,
        read_ends=lambda: read_ends(servers, NAMES),
        kafka_options={"kafka.bootstrap.servers": servers.kafka_address},
    )
    return {stage.name: runner.run(stage) for stage in STAGES}


def test_a_cycle_takes_what_came_and_balances(
    lake: Lake, laid: History, runs: dict[str, StageRun], tmp_path: Path
) -> None:
    """The repeated tick is a duplicate: its id and its hash are those that bronze computes."""
    assert {run.batch for run in runs.values()} == {MINUTES + 1}
    assert all(run.balances and run.left == 0 and run.lost == 0 for run in runs.values())
    n = SYMBOLS
    assert {name: dict(run.outcomes) for name, run in runs.items()} == {
        "raw": {"accepted": 2 * n + 2},
        "bronze": {"tick": n + 1, "candle": n, "poll": 1},
        "silver": {"tick": n, "candle": n, "poll": 1, "duplicate": 1},
        "candles": {"taken": n, "covered": n},
        "volatility": {"measured": n},
        "summary": {"summarised": n},
        "predictions": {"origin": n},
    }
    assert runs["silver"].rows_out["silver/gaps"] == 0
    assert runs["predictions"].rows_out["predictions/forecasts"] == 6 * n
    _continues(lake)
    _is_compacted(lake)
    _is_as_made(lake, tmp_path)


def _continues(lake: Lake) -> None:
    """Of the new minute every measure is there, since those before it are."""
    newest = lake.read(STAGES[4].primary).where(f"batch = {MINUTES + 1}").collect()
    assert len(newest) == SYMBOLS
    assert all(row["return_1h"] is not None and row["returns_24h"] == MINUTES for row in newest)


def _is_compacted(lake: Lake) -> None:
    """Spark reads every file that was laid down, and writes their rows anew; none is lost."""
    now = datetime.now(UTC)
    for table in (stage.primary for stage in STAGES):
        found = inspect(lake.path(table), table)
        assert found is not None
        for work in compactions(found, today=now.date(), limits=Limits(current_files_due=2)):
            done = perform(lake, work, now=now, seconds=60)
            assert done.files_after < done.files_before


def _is_as_made(lake: Lake, tmp_path: Path) -> None:
    """What the tables say of themselves is what Spark says of new ones."""
    fresh = replace(lake, root=str(tmp_path / "fresh"))
    for stage in STAGES:
        for table in stage.outputs:
            fresh.ensure(table)
            laid, made = (DeltaTable(one.path(table)) for one in (lake, fresh))
            assert laid.schema().to_json() == made.schema().to_json()
            # A history over midnight has a vacuum in it.
            noted = {
                name: value
                for name, value in laid.metadata().configuration.items()
                if name != VACUUMED_PROPERTY
            }
            assert noted == made.metadata().configuration
            assert laid.metadata().partition_columns == made.metadata().partition_columns
            assert laid.protocol() == made.protocol()
            assert log.open_table(lake.path(table)) is not None
