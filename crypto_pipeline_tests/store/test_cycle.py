"""A lake in a bucket: a cycle from poll to forecast, and what looks at it and keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from deltalake import DeltaTable
from rich.console import Console

from crypto_pipeline.audit.command import audit_command
from crypto_pipeline.embedded.running import services
from crypto_pipeline.lake.opening import storage_options
from crypto_pipeline.maintenance.lake_upkeep import open_upkeep
from crypto_pipeline.once import run_cycle
from crypto_pipeline.pipeline import Pipeline, open_pipeline
from crypto_pipeline.rebuild.command import rebuild_command
from crypto_pipeline.resources.market import ingest
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import TABLES
from crypto_pipeline.stream.topics import ensure
from crypto_pipeline.trace.command import trace_command
from crypto_pipeline_tests.store.server import Store

pytestmark = [pytest.mark.spark, pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture
def in_bucket(
    store: Store, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """A whole stack whose lake is in the bucket; this process is a client of it."""
    values = store.settings("cycle")
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = make_settings(**values, SYMBOLS="BTC-USDT,ETH-USDT", HISTORY_HOURS="2")
    with services(settings, ["broker", "spark", "simulator"]):
        ensure(settings)
        yield settings


def rows(settings: Settings, key: str) -> int:
    path = f"{settings.lake_root}/{key}"
    table = DeltaTable(path, storage_options=storage_options(settings.store))
    return int(table.to_pyarrow_table().num_rows)


def test_a_cycle_from_poll_to_forecast_ends_in_the_bucket_and_every_command_works_on_it(
    in_bucket: Settings,
) -> None:
    polled = ingest(in_bucket)
    with open_pipeline(in_bucket) as pipeline:
        assert run_cycle(pipeline).balances
        kept = upkeep(in_bucket, pipeline)
    assert kept == {table.key for table in TABLES}
    assert rows(in_bucket, "gold/market_summary") == 2
    assert rows(in_bucket, "predictions/forecasts") > 0
    console = Console(record=True, width=200)
    minute_at = polled.poll_at - timedelta(minutes=1)
    traced = trace_command(
        in_bucket, console, symbol="BTC-USDT", minute_at=minute_at, source=None, horizon=60
    )
    assert traced == 0
    assert rebuild_command(in_bucket, console, layer="gold") == 0
    assert "all equal" in console.export_text(clear=False)
    assert audit_command(in_bucket, console, start=None, end=None) == 0, console.export_text()


def upkeep(settings: Settings, pipeline: Pipeline) -> set[str]:
    """Compaction, vacuum and the rest as far as they are due; the tables that were looked at."""
    found = open_upkeep(settings, pipeline.lake, is_wanted=lambda: False)
    for kind in ("recommit", "compact", "retain", "vacuum"):
        _, left = found.take(kind)
        assert left == 0
    return {one.key for one in found.count()}
