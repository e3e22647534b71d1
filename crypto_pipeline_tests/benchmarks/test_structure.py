"""What a minute costs, in counts that no machine changes: commits, Connect calls, files.

A cost that comes back shows here before it shows in a figure. Each limit is what was counted when
it was set; one call more wants a reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.stage import Stage
from crypto_pipeline.stage_run import StageRun
from crypto_pipeline.stages import STAGES
from crypto_pipeline_tests.crash.feed import Feed

pytestmark = [pytest.mark.spark, pytest.mark.integration]

# The first minute makes the tables.
WARM = 1
COMMITS = {
    "raw": 1, "bronze": 4, "silver": 4, "candles": 1, "volatility": 1, "summary": 1,
    "predictions": 1,
}  # fmt: skip
# Executed plans: each is planned by Spark, which is most of what a minute takes.
PLANS = {
    "raw": 5, "bronze": 10, "silver": 14, "candles": 6, "volatility": 6, "summary": 4,
    "predictions": 4,
}  # fmt: skip
# Plans that are only analysed, by a second look at a schema.
ANALYSED = 2


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many plans the client has sent, by kind."""
    from pyspark.sql.connect.client import SparkConnectClient

    counted: Counter[str] = Counter()

    def counting(name: str) -> Callable[..., Any]:
        original = getattr(SparkConnectClient, name)

        def call(client: object, *given: Any, **options: Any) -> Any:
            counted[name] += 1
            return original(client, *given, **options)

        return call

    for name in ("_execute_and_fetch", "_analyze"):
        monkeypatch.setattr(SparkConnectClient, name, counting(name))
    return counted


def test_a_minute_costs_its_commits_and_few_plans(
    runner: StageRunner, servers: Settings, calls: Counter[str]
) -> None:
    feed = Feed(servers)
    for _ in range(WARM):
        minute(runner, feed, calls)
    found = minute(runner, feed, calls)
    plans = {name: counted["_execute_and_fetch"] for name, (_, counted) in found.items()}
    analysed = {name: counted["_analyze"] for name, (_, counted) in found.items()}
    commits = {name: len(run.versions) for name, (run, _) in found.items()}
    assert commits == COMMITS
    assert all(plans.values()), "the client sends its plans by another way"
    assert {name: count for name, count in plans.items() if count > PLANS[name]} == {}
    assert max(analysed.values()) <= ANALYSED, analysed
    # One file a commit, though a minute's rows lie in partitions by topic and date too.
    for run, _ in found.values():
        for key, rows in run.rows_out.items():
            assert rows == 0 or new_files(runner, key, run) <= (5 if key == "raw/records" else 1)
            assert codecs(runner, key) <= {"ZSTD"}, key


def minute(
    runner: StageRunner, feed: Feed, calls: Counter[str]
) -> dict[str, tuple[StageRun, Counter[str]]]:
    """One more minute through every stage, with the calls of each."""
    feed.send_minute()
    return {stage.name: counted_run(runner, stage, calls) for stage in STAGES}


def counted_run(
    runner: StageRunner, stage: Stage, calls: Counter[str]
) -> tuple[StageRun, Counter[str]]:
    before = calls.copy()
    run = runner.run(stage)
    return run, calls - before


def codecs(runner: StageRunner, key: str) -> set[str]:
    """How a table's files are compressed: of their first columns, the others are the same."""
    from deltalake import DeltaTable
    from pyarrow.parquet import ParquetFile

    found = set()
    for file in DeltaTable(f"{runner.lake.root}/{key}").file_uris():
        with ParquetFile(file.removeprefix("file://")) as parquet:
            found.add(parquet.metadata.row_group(0).column(0).compression)
    return found


def new_files(runner: StageRunner, key: str, run: StageRun) -> int:
    from deltalake import DeltaTable

    table = DeltaTable(f"{runner.lake.root}/{key}", version=run.versions[key])
    metrics = table.history(1)[0]["operationMetrics"]
    return int(metrics["numFiles"])
