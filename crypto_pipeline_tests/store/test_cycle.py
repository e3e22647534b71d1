"""A lake in a bucket: a cycle from poll to forecast, and what looks at it and keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from deltalake import DeltaTable
from rich.console import Console

from crypto_pipeline import formats
from crypto_pipeline import settings as settings_module
from crypto_pipeline.audit.command import audit_command
from crypto_pipeline.embedded import jars, up_lock
from crypto_pipeline.embedded.running import services
from crypto_pipeline.errors import FormatError
from crypto_pipeline.lake.opening import storage_options
from crypto_pipeline.maintenance.lake_upkeep import open_upkeep
from crypto_pipeline.migrate.command import migrate
from crypto_pipeline.migrate.found import refuse_other_formats
from crypto_pipeline.once import run_cycle
from crypto_pipeline.pipeline import Pipeline, open_pipeline
from crypto_pipeline.rebuild.command import rebuild_command
from crypto_pipeline.resources.market import ingest
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import RAW, TABLES
from crypto_pipeline.status import read_status
from crypto_pipeline.stream.ranges import read_ends
from crypto_pipeline.stream.topics import ensure
from crypto_pipeline.trace.command import trace_command
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.conftest import missing
from crypto_pipeline_tests.short_lived import short_lived
from crypto_pipeline_tests.store.proxy import Fault, Proxy, Request
from crypto_pipeline_tests.store.server import Store
from crypto_pipeline_tests.topics import NAMES

pytestmark = [pytest.mark.spark, pytest.mark.integration, pytest.mark.timeout(600)]

CREATION = "/00000000000000000000.json"


@pytest.fixture(scope="module")
def in_bucket(
    store: Store, _proxy: Proxy, make_settings: Callable[..., Settings]
) -> Iterator[Settings]:
    """A whole stack whose lake is in the bucket, Spark before the proxy, this process beside it.

    deltalake holds Python's lock while it reads a log, so a proxy of this process could not answer.
    """
    values = store.settings("cycle")
    settings = make_settings(
        **{**values, "AWS_ENDPOINT_URL": _proxy.url}, SYMBOLS="BTC-USDT,ETH-USDT", HISTORY_HOURS="1"
    )
    if jars.missing(jars.needed(settings), jars.folder(settings)):
        missing("the jars of Spark and of S3 are not here: `make test` with a network")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        with short_lived(), services(settings, ["broker", "spark", "simulator"]):
            ensure(settings)
            yield settings


def column(settings: Settings, key: str, name: str) -> list[object]:
    """The values of a column, read past the proxy."""
    store = settings_module.load().store
    table = DeltaTable(f"{settings.lake_root}/{key}", storage_options=storage_options(store))
    return list(table.to_pyarrow_table(columns=[name]).column(name).to_pylist())


def test_a_cycle_ends_in_the_bucket_though_no_commit_is_ever_heard_of(
    in_bucket: Settings, proxy: Proxy
) -> None:
    """The answer to the first request for each log entry is dropped after it was carried out.

    That of a table's creation is not: lake/test_commit.py has what becomes of it.
    """
    dropped: set[str] = set()

    def first_of_each_entry(request: Request) -> Fault:
        is_creation = request.path.endswith(CREATION)
        if not request.is_log_entry or is_creation or request.path in dropped:
            return "pass"
        dropped.add(request.path)
        return "drop"

    proxy.decide = first_of_each_entry
    ingest(in_bucket)
    with open_pipeline(in_bucket) as pipeline:
        cycle = run_cycle(pipeline)
    assert cycle.balances
    assert [run.stage for run in cycle.runs if run.is_empty] == []
    assert len(dropped) > len(cycle.runs)
    ends = read_ends(in_bucket, NAMES).topics.values()
    sent = sum(span.end for topic in ends for span in topic.partitions.values())
    assert len(column(in_bucket, "raw/records", "offset")) == sent
    for key in ("silver/candles", "silver/ticks", "predictions/forecasts"):
        ids = column(in_bucket, key, "id")
        assert len(ids) == len(set(ids)) > 0, key
    assert len(column(in_bucket, "gold/market_summary", "symbol")) == len(in_bucket.symbols)


def test_a_table_without_a_mark_is_brought_along_in_the_bucket(in_bucket: Settings) -> None:
    with open_pipeline(in_bucket) as pipeline:
        lake = pipeline.lake
        lake.ensure(RAW.primary)
        unmark = f"ALTER TABLE delta.`{lake.path(RAW.primary)}` UNSET TBLPROPERTIES"
        lake.spark.sql(f"{unmark} ('{formats.PROPERTY}')").collect()
    with pytest.raises(FormatError, match=r"raw/records in s3a://.* has format 0"):
        refuse_other_formats(in_bucket)
    # As beside `make up`: the server that runs is used.
    with up_lock.hold(in_bucket):
        assert migrate(in_bucket, Console(quiet=True)) == 0
    refuse_other_formats(in_bucket)


@pytest.mark.prove
@pytest.mark.skipif(
    not proof.is_full(), reason="minutes: `make prove` has it; each command has tests on a folder"
)
def test_every_command_works_on_a_lake_in_a_bucket(in_bucket: Settings) -> None:
    polled = ingest(in_bucket)
    with open_pipeline(in_bucket) as pipeline:
        assert run_cycle(pipeline).balances
        assert upkeep(in_bucket, pipeline) == {table.key for table in TABLES}
    assert [stage.behind for stage in read_status(in_bucket).stages if stage.behind] == []
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
