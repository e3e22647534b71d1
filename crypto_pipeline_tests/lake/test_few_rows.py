"""A table's few rows as values are the rows and types that a scan of Spark gives; many are not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from crypto_pipeline.contract.message import format_time
from crypto_pipeline.gold.schema import CANDLES_1M
from crypto_pipeline.lake import few_rows as module
from crypto_pipeline.lake import tuning
from crypto_pipeline.lake.few_rows import few_rows, of_batches, of_span
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.opening import look_again, one_look, open_delta
from crypto_pipeline.lake.spark_log import load
from crypto_pipeline.lake.table import Table
from crypto_pipeline.lake.tuning import tune
from crypto_pipeline.lake.values import rows_of
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.silver.schema import TICKS
from crypto_pipeline.stages import CANDLES, RAW, SILVER, TABLES
from crypto_pipeline_tests.builders import AT, Row, frame, gold_candle, put, raw_row, tick

BATCHES = 4


def of(table: Table, seed: random.Random) -> Row:
    """A row whose fact lies anywhere in an hour, to the microsecond, on either side of midnight."""
    at = AT.replace(hour=23, minute=30) + timedelta(microseconds=seed.randrange(3_600_000_000))
    if table is RECORDS:
        return {**raw_row(b"{}", offset=seed.randrange(10**6)), "broker_at": at, "date": at.date()}
    if table is TICKS:
        facts = {name: getattr(tick(), name) for name in ("id", "source", "symbol", "price")}
        return {**facts, "poll_at": at, "date": at.date()}
    return gold_candle(at)


@pytest.fixture
def seed() -> random.Random:
    number = random.SystemRandom().randrange(2**31)
    print(f"seed {number}")  # noqa: T201 - a failure must be reproducible
    return random.Random(number)


@pytest.mark.spark
@pytest.mark.integration
def test_values_are_what_a_scan_gives(lake: Lake, seed: random.Random) -> None:
    for stage, table in ((RAW, RECORDS), (SILVER, TICKS), (CANDLES, CANDLES_1M)):
        rows = [of(table, seed) for _ in range(40)]
        for batch in range(1, BATCHES + 1):
            put(lake, stage, {table: rows[batch - 1 :: BATCHES]}, batch=batch)
        scan = load(lake.spark, lake.path(table))
        times = sorted(row[table.fact_column] for row in rows)
        # On a fact to the microsecond: a file's statistics are cut to the millisecond.
        for since, until in ((times[7], times[20]), (times[30], None), (None, times[3])):
            assert_same(lake.read(table, since=since, until=until), cut(scan, table, since, until))
        wanted = (F.col("batch") > 1) & (F.col("batch") <= 3)
        assert_same(lake.increment(table, after=1, to=3), scan.where(wanted))


def cut(scan: DataFrame, table: Table, since: datetime | None, until: datetime | None) -> DataFrame:
    fact = F.col(table.fact_column)
    if since is not None:
        scan = scan.where(fact >= F.lit(since))
    return scan if until is None else scan.where(fact <= F.lit(until))


def assert_same(found: DataFrame, expected: DataFrame) -> None:
    assert kinds(found) == kinds(expected)
    assert texts(found) == texts(expected) != []


def kinds(rows: DataFrame) -> list[tuple[str, str]]:
    return [(f.name, f.dataType.simpleString()) for f in rows.schema.fields]


def texts(rows: DataFrame) -> list[str]:
    return sorted(str(row.asDict(recursive=True)) for row in rows.collect())


@pytest.mark.spark
@pytest.mark.integration
def test_an_empty_table_has_its_types_and_a_missing_one_is_sparks_to_refuse(lake: Lake) -> None:
    for table in TABLES:
        lake.ensure(table)
        expected = [(f.name, f.dataType.simpleString()) for f in table.schema.fields]
        assert kinds(lake.increment(table, after=0, to=9)) == expected
    assert few_rows(f"{lake.root}/nowhere", RECORDS, where="true") is None


@pytest.mark.spark
@pytest.mark.integration
def test_more_than_few_are_scanned(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEW", 3 * len(CANDLES_1M.columns))
    put(lake, CANDLES, {CANDLES_1M: [gold_candle(AT + n * timedelta(minutes=1)) for n in range(5)]})
    path = lake.path(CANDLES_1M)
    assert few_rows(path, CANDLES_1M, where=of_batches(after=0, to=1)) is None
    late = of_span(CANDLES_1M, since=AT + timedelta(minutes=3), until=None)
    found = few_rows(path, CANDLES_1M, where=late)
    assert found is not None
    assert found.num_rows == 2
    assert lake.read(CANDLES_1M).count() == 5
    # Of one column more rows are few.
    closes = few_rows(path, CANDLES_1M, where="true", columns=("close", "no such"))
    assert closes is not None
    assert (closes.num_rows, closes.column_names) == (5, ["close"])


@pytest.mark.spark
@pytest.mark.integration
def test_a_minutes_plans_are_set_apart_from_a_backlogs(lake: Lake) -> None:
    name = "spark.sql.shuffle.partitions"
    tune(lake.spark, rows=100_000)
    servers_own = lake.spark.conf.get(name)
    tune(lake.spark, rows=20)
    assert (lake.spark.conf.get(name), servers_own) == ("1", "2")
    tune(lake.spark, rows=100_000)
    assert lake.spark.conf.get(name) == servers_own
    assert rows_of(frame(lake.spark, CANDLES_1M, [gold_candle()])).num_rows == 1


@pytest.mark.spark
@pytest.mark.integration
def test_what_looks_at_many_rows_is_compiled_for_few_and_nothing_after_it(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def fetched(rows: DataFrame) -> pa.Table:
        seen.append(lake.spark.conf.get("spark.sql.codegen.wholeStage"))
        return rows_of(rows)

    monkeypatch.setattr(tuning, "rows_of", fetched)
    rows = frame(lake.spark, CANDLES_1M, [gold_candle()])
    tune(lake.spark, rows=20)
    for reach in (1, tuning.COMPILED_LOOKS, 1):
        assert tuning.kept(rows, rows=20, reach=reach).count() == 1
    assert seen == ["false", "true", "false"]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    append(tmp_path / "t", [1])
    return tmp_path / "t"


def append(path: Path, values: Sequence[int]) -> None:
    import pyarrow as pa
    from deltalake import write_deltalake

    write_deltalake(str(path), pa.table({"n": list(values)}), mode="append")


def version(path: Path) -> int:
    table = open_delta(str(path))
    assert table is not None
    return int(table.version())


def test_within_one_look_a_table_stays_as_it_was_seen(written: Path) -> None:
    with one_look():
        assert version(written) == 0
        append(written, [2])
        assert version(written) == 0
        look_again(str(written))
        assert version(written) == 1
        append(written, [3])
    assert version(written) == 2


def test_a_table_that_was_not_there_is_seen_once_it_is(tmp_path: Path) -> None:
    with one_look():
        assert open_delta(str(tmp_path / "t")) is None
        append(tmp_path / "t", [1])
        assert version(tmp_path / "t") == 0


def test_a_condition_names_whole_days_and_reaches_a_millisecond_further() -> None:
    where = of_span(CANDLES_1M, since=AT, until=AT + timedelta(days=1))
    assert "date >= DATE '2026-11-23'" in where
    assert "date <= DATE '2026-11-24'" in where
    assert format_time(AT)[:19] not in where
    assert "10:04:59.999" in where
    assert of_span(CANDLES_1M, since=None, until=None) == "true"


@pytest.mark.spark
@pytest.mark.integration
def test_long_rows_are_many(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server holds the values of a plan several times over."""
    long = {**raw_row(b"x" * 200_000, offset=1), "broker_at": AT, "date": AT.date()}
    put(lake, RAW, {RECORDS: [long]})
    where = of_batches(after=0, to=1)
    assert few_rows(lake.path(RECORDS), RECORDS, where=where) is not None
    monkeypatch.setattr(module, "FEW_BYTES", 100_000)
    assert few_rows(lake.path(RECORDS), RECORDS, where=where) is None
