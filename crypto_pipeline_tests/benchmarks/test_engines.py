"""Both engines are given the same rows, do the same work, and are held against each other."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from crypto_pipeline.lake.tuning import COMPILED_ROWS
from crypto_pipeline_tests.benchmarks import engine_polars, engine_rows, engines
from crypto_pipeline_tests.benchmarks.engine_rounds import Compared, one_round
from crypto_pipeline_tests.benchmarks.engine_tables import (
    NEWEST,
    TASKS,
    TICKS,
    Task,
    Told,
    differences,
)
from crypto_pipeline_tests.benchmarks.polars_process import polars_process

ROWS = 3_000
BY_NAME = {task.name: task for task in TASKS}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    engine_rows.lay_down(folder, ROWS)
    return folder


def result(task: Task, inputs: Path, target: Path) -> pl.DataFrame:
    task.create(target)
    engine_polars.run(task.name, inputs / task.source, target)
    return pl.read_delta(str(target))


def test_the_same_size_gives_the_same_rows_and_chunks_do_not_meet() -> None:
    one, again = (list(engine_rows.ticks(1_000, chunk=400)) for _ in range(2))
    assert [chunk.num_rows for chunk in one] == [400, 400, 200]
    assert all(a.equals(b) for a, b in zip(one, again, strict=True))
    sent = pl.from_arrow(pa.concat_tables(one))
    assert sent["offset"].to_list() == list(range(1_000))
    # A twentieth has come twice, and a copy differs in nothing but its offset.
    assert sent["id"].n_unique() == 950
    assert sent.drop("offset").n_unique() == 950
    assert sent.group_by("symbol", "poll_at").agg(pl.col("id").n_unique()).max()["id"][0] == 1


def test_a_day_of_candles_ends_with_the_minute_asked_for() -> None:
    (candles,) = (pl.from_arrow(chunk) for chunk in engine_rows.candles(ROWS))
    assert candles["symbol"].n_unique() == engine_rows.symbols_of(ROWS) == 2
    assert candles["minute_at"].max() == NEWEST
    assert candles["minute_at"].min() == NEWEST - timedelta(days=1)
    bodies = candles.select(
        top=pl.max_horizontal("open", "close") <= pl.col("high"),
        bottom=pl.min_horizontal("open", "close") >= pl.col("low"),
    )
    assert bodies.select(pl.all().all()).row(0) == (True, True)


def test_an_id_is_taken_once_and_a_minute_has_its_last_tick(inputs: Path, tmp_path: Path) -> None:
    found = result(BY_NAME["last of a minute"], inputs, tmp_path / "last")
    sent = pl.read_delta(str(inputs / "ticks"))
    assert found.select("source", "symbol", "minute_at").is_unique().all()
    firsts = sent.group_by("id").agg(pl.col("offset").min())
    kept = found.join(firsts, left_on="fact_id", right_on="id", suffix="_first")
    assert kept["offset"].equals(kept["offset_first"])
    later = found.join(sent, on="symbol", suffix="_other").filter(
        pl.col("poll_at_other") > pl.col("poll_at"),
        pl.col("poll_at_other") <= pl.col("minute_at") + pl.duration(minutes=1),
    )
    assert later.is_empty()


def test_volatility_is_of_each_symbols_newest_minute(inputs: Path, tmp_path: Path) -> None:
    found = result(BY_NAME["volatility"], inputs, tmp_path / "volatility")
    assert found["symbol"].sort().to_list() == ["C00000-USDT", "C00001-USDT"]
    assert found["returns_24h"].to_list() == [1_440, 1_440]
    # A tenth of a percent a minute, by the square root of a year's minutes.
    assert found["volatility_24h"].to_list() == pytest.approx([0.725, 0.725], rel=0.1)
    assert found.null_count().sum_horizontal()[0] == 0


def test_tables_are_compared_by_whole_numbers_exactly_and_others_nearly() -> None:
    one = Told(rows=2, sums={"offset": 10, "price": 1.0})
    assert differences(one, Told(rows=2, sums={"offset": 10, "price": 1.0 + 1e-12})) == []
    other = Told(rows=3, sums={"offset": 11, "price": 1.1, "bid": 1.0})
    assert differences(one, other) == [
        "rows: 2 and 3", "bid: None and 1.0", "offset: 10 and 11", "price: 1.0 and 1.1",
    ]  # fmt: skip


def test_another_value_in_any_column_is_another_table(tmp_path: Path) -> None:
    count, other = 2 * engine_rows.SYMBOLS, engine_rows.SYMBOLS + 1
    (rows,) = engine_rows.ticks(count)
    write_deltalake(tmp_path / "one", rows)
    one = engine_polars.told(tmp_path / "one")
    assert set(one.sums) == set(TICKS.names)
    for name in TICKS.names:
        place = rows.schema.get_field_index(name)
        column = rows.column(name).take(pa.array([other, *range(1, count)]))
        changed = rows.set_column(place, rows.schema.field(name), column)
        write_deltalake(tmp_path / name, changed)
        is_same = changed.equals(rows)
        # The other row is of the next poll and of another symbol; source and day are the same.
        assert is_same is (name in ("source", "date")), name
        assert bool(differences(one, engine_polars.told(tmp_path / name))) is not is_same, name


def test_delta_rs_writes_a_transaction_number_that_it_has_seen(tmp_path: Path) -> None:
    """So what a killed run had committed must be looked for before its batch is written again."""
    for _ in range(2):
        number = CommitProperties(app_transactions=[Transaction("raw/records", 1)])
        rows = pa.table({"a": [1]})
        write_deltalake(tmp_path / "t", rows, mode="append", commit_properties=number)
    table = DeltaTable(tmp_path / "t")
    assert table.transaction_version("raw/records") == 1
    assert table.to_pyarrow_table().num_rows == 2


def test_a_task_has_its_seconds_and_its_memory() -> None:
    one = Compared(task="append", rows=10_000, seconds=[(0.1, 0.5)], memory=(200.0, 900.0))
    told = {(figure.name, figure.unit): figure.ratio for figure in engines.figures([one])}
    assert told == {
        ("append, 10,000 rows", "s"): pytest.approx(5.0),
        ("append, 10,000 rows, most memory", "MiB"): pytest.approx(4.5),
    }
    assert [panel.title for panel in engines.panels([one]) if panel.points] == ["append"] * 2


@pytest.mark.spark
@pytest.mark.integration
def test_both_engines_give_the_same(inputs: Path, spark: object) -> None:
    with polars_process(threads=1) as polars:
        for task in TASKS:
            seconds = one_round(
                task, rows=COMPILED_ROWS, inputs=inputs, spark=spark, polars=polars, sums=True
            )
            assert min(seconds) > 0
        assert polars.peak_mebibytes > 0
