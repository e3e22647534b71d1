"""What retention has removed is no difference, and a rebuild leaves what was made of it."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crypto_pipeline.audit.run import audit
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.table import Layer
from crypto_pipeline.maintenance.perform import perform
from crypto_pipeline.maintenance.table_files import inspect_all
from crypto_pipeline.maintenance.work import Limits, removals
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.rebuild.command import line
from crypto_pipeline.rebuild.run import TableRebuilt, rebuild
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.stages import RAW, STAGES, TABLES
from crypto_pipeline.stream.ranges import TopicEnds
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.books.market import SOL, arrived, minute
from crypto_pipeline_tests.books.test_audit import named
from crypto_pipeline_tests.books.test_rebuild import content
from crypto_pipeline_tests.builders import AT, BTC, ETH, MINUTE, put

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.prove, pytest.mark.timeout(900)]

of_a_proof = pytest.mark.skipif(
    not proof.is_full(), reason="minutes: `make prove` has it; the other two look at the same notes"
)

DAY = timedelta(days=1)
SECOND_DAY, THIRD_DAY = AT.date() + DAY, AT.date() + 2 * DAY
# The poll at midnight brings the candle of 23:59: a fact of the day before the broker's.
MIDNIGHT = 14 * 60 - 5
POLLS = (0, MIDNIGHT, MIDNIGHT + 1, 1440, MIDNIGHT + 1440, MIDNIGHT + 1441)


@pytest.fixture(scope="module")
def three_days(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A batch a poll; one symbol leaves the watch-list after the first. Only to be copied."""
    root = str(tmp_path_factory.mktemp("retention") / "lake")
    lake = Lake(spark=spark, root=root, market="simulated")
    runner = StageRunner(
        lake=lake, read_ends=lambda: TopicEnds(cluster_id="c", topics={}), kafka_options={}
    )
    seen: Counter[str] = Counter()
    for batch, number in enumerate(POLLS, start=1):
        symbols = (BTC, ETH) if number else (BTC, ETH, SOL)
        rows = arrived(minute(number, symbols=symbols), AT + number * MINUTE, seen)
        put(lake, RAW, {RECORDS: rows}, batch=batch)
        for stage in STAGES[1:]:
            runner.run(stage)
    return lake


@pytest.fixture
def kept(three_days: Lake, tmp_path: Path) -> Lake:
    shutil.copytree(three_days.root, tmp_path / "lake")
    return replace(three_days, root=str(tmp_path / "lake"))


def remove(lake: Lake, layers: Sequence[Layer], *, before: date) -> None:
    """The layers' dates before one, as upkeep removes them."""
    for files in inspect_all(lake.root, [t for t in TABLES if t.layer in layers]):
        limits = Limits(days={files.table.layer: 1})
        for work in removals(files, today=before + DAY, limits=limits, read={}):
            perform(lake, work, now=datetime.now(UTC), seconds=60)


def delete(lake: Lake, key: str, where: str) -> None:
    lake.spark.sql(f"DELETE FROM delta.`{lake.root}/{key}` WHERE {where}").collect()


def test_an_audit_of_everything_looks_at_the_dates_that_both_layers_hold(kept: Lake) -> None:
    remove(kept, ["raw", "bronze", "silver", "gold"], before=SECOND_DAY)
    found = audit(kept)
    assert found.differences == (), "a symbol that has left shows a tick of a date that is gone"
    assert found.is_clean

    day = f"date = '{THIRD_DAY}' AND symbol = '{BTC}'"
    # Each layer is held against the one before it.
    keys = ("bronze/ticks", "gold/volatility")
    for key in keys:
        delete(kept, key, day)
    assert {(key, "missing") for key in keys} <= named(audit(kept))


@of_a_proof
def test_old_facts_of_new_records_are_no_difference(kept: Lake) -> None:
    """As of a backfill: raw has the records, bronze and silver have let the dates go."""
    remove(kept, ["bronze"], before=THIRD_DAY)
    remove(kept, ["silver"], before=SECOND_DAY)
    found = audit(kept)
    assert found.differences == ()
    assert found.is_clean


def by_table(done: Sequence[TableRebuilt]) -> dict[str, TableRebuilt]:
    return {one.table: one for one in done}


def test_a_rebuilt_layer_keeps_the_dates_that_the_one_before_it_has_lost(kept: Lake) -> None:
    remove(kept, ["raw", "bronze"], before=SECOND_DAY)
    before = content(kept)
    delete(kept, "silver/ticks", f"date = '{THIRD_DAY}' AND symbol = '{BTC}'")

    done = by_table(rebuild(kept, "silver"))

    assert content(kept) == before
    ticks, candles = done["silver/ticks"], done["gold/candles_1m"]
    assert [one.what for one in ticks.differences] == ["missing"]
    assert ticks.since == SECOND_DAY
    assert line(ticks).endswith(f", made anew from {SECOND_DAY} on")
    assert candles.since is None, "silver has lost nothing"
    assert line(candles).endswith(", equal")
    assert audit(kept).is_clean


@of_a_proof
def test_a_rebuild_of_all_layers_after_all_have_lost_dates_changes_nothing(kept: Lake) -> None:
    remove(kept, ["raw"], before=THIRD_DAY)
    remove(kept, ["bronze", "silver", "gold"], before=SECOND_DAY)
    before = content(kept)
    done = by_table(rebuild(kept, "bronze"))
    assert content(kept) == before
    assert {key: one.differences for key, one in done.items() if one.differences} == {}
    assert done["bronze/ticks"].since == THIRD_DAY
    assert done["silver/candles"].since == SECOND_DAY
    assert done["gold/volatility"].since == THIRD_DAY, "a minute needs the day before it"


@of_a_proof
def test_what_was_spoilt_after_a_rebuild_is_put_right_by_the_same_one(kept: Lake) -> None:
    rebuild(kept, "gold")
    before = content(kept)
    delete(kept, "gold/candles_1m", f"date = '{THIRD_DAY}'")
    done = by_table(rebuild(kept, "gold"))
    assert [one.what for one in done["gold/candles_1m"].differences] == ["missing"]
    assert content(kept) == before
