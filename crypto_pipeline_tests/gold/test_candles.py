"""One candle a minute: the exchange over a sample, the newest revision over an older one."""

from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.gold import candles
from crypto_pipeline.gold.schema import CANDLES_1M
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.silver import schema as silver
from crypto_pipeline.stages import CANDLES, SILVER
from crypto_pipeline.stream.ranges import TopicEnds
from crypto_pipeline_tests.builders import (
    AT,
    BTC,
    ETH,
    MINUTE,
    Given,
    Row,
    candle,
    day_of,
    put,
    read,
    tick,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

OPEN = AT - MINUTE


def facts(*values: Tick | Candle) -> dict[object, list[Row]]:
    """Contract values as rows of silver."""
    rows: dict[object, list[Row]] = {silver.TICKS: [], silver.CANDLES: []}
    for value in values:
        table = silver.TICKS if isinstance(value, Tick) else silver.CANDLES
        row = {name: getattr(value, name) for name in table.columns if hasattr(value, name)}
        rows[table].append({**row, "date": day_of(row[table.fact_column]), "batch": 2})
    return rows


def take(
    spark: SparkSession, *values: Tick | Candle, known: list[Row] | None = None
) -> tuple[list[Row], dict[str, int]]:
    """Candles that a batch writes, and how many facts had which outcome."""
    result = candles.run(Given(spark)(new=facts(*values), known={CANDLES_1M: known or []}))
    rows = read(result.outputs[CANDLES_1M.key], order=("source", "symbol", "minute_at"))
    outcomes = {
        r["outcome"]: r["count"] for r in read(result.classified[0].groupBy("outcome").count())
    }
    for cached in result.cached:
        cached.unpersist()
    return rows, outcomes


def revision(number: int, close: str) -> Candle:
    return candle(close=Decimal(close), observed_at=OPEN + timedelta(seconds=60 + number))


def kept(value: Candle, **changes: object) -> Row:
    """A candle as gold has it from an earlier batch."""
    names = ("source", "symbol", "open", "high", "low", "close", "volume", "trades", "observed_at")
    return {
        **{name: getattr(value, name) for name in names},
        "minute_at": value.open_at,
        "origin": "exchange",
        "revisions": 1,
        "fact_id": value.id,
        "date": day_of(value.open_at),
        "batch": 1,
        **changes,
    }


def test_the_newest_revision_wins_in_whatever_order(spark: SparkSession) -> None:
    all_three = [revision(1, "67001"), revision(2, "67002"), revision(3, "67003")]
    for order in itertools.permutations(all_three):
        rows, outcomes = take(spark, *order)
        assert [(row["close"], row["revisions"]) for row in rows] == [(Decimal("67003"), 3)]
        assert outcomes == {"taken": 1, "superseded": 2}


def test_a_newer_revision_replaces_the_one_in_the_table(spark: SparkSession) -> None:
    rows, outcomes = take(spark, revision(2, "67002"), known=[kept(revision(1, "67001"))])
    assert [(row["close"], row["revisions"]) for row in rows] == [(Decimal("67002"), 2)]
    assert outcomes == {"taken": 1}


def test_an_older_revision_does_not_and_is_counted(spark: SparkSession) -> None:
    newer = kept(revision(3, "67003"), batch=1)
    rows, outcomes = take(spark, revision(2, "67002"), known=[newer])
    assert [(row["close"], row["revisions"]) for row in rows] == [(Decimal("67003"), 2)]
    assert (rows[0]["fact_id"], rows[0]["batch"]) == (newer["fact_id"], 2)
    assert outcomes == {"recounted": 1}


def test_two_revisions_of_one_observation_have_one_winner_in_either_order(
    spark: SparkSession,
) -> None:
    first, second = revision(1, "67001"), revision(1, "67002")
    winner = min(first, second, key=lambda value: value.id)
    loser = max(first, second, key=lambda value: value.id)
    assert take(spark, winner, known=[kept(loser)])[0][0]["close"] == winner.close
    assert take(spark, loser, known=[kept(winner)])[0][0]["close"] == winner.close
    assert take(spark, first, second)[0][0]["close"] == winner.close


def test_the_exchange_wins_over_a_sample_in_either_order(spark: SparkSession) -> None:
    sample = tick(poll_at=AT, observed_at=AT + MINUTE)
    (row,), outcomes = take(spark, sample, candle())
    assert (row["origin"], row["close"], row["revisions"]) == ("exchange", candle().close, 1)
    assert outcomes == {"taken": 1, "covered": 1}
    assert take(spark, sample, known=[kept(candle())]) == ([], {"covered": 1})
    sampled = kept(candle(close=sample.price), origin="sampled", observed_at=AT + MINUTE)
    (row,), _ = take(spark, candle(), known=[sampled])
    assert (row["origin"], row["revisions"]) == ("exchange", 1)


def test_without_an_exchange_candle_a_tick_samples_the_minute_before_its_poll(
    spark: SparkSession,
) -> None:
    (row,), _ = take(spark, tick())
    assert row["minute_at"] == "2026-11-23T10:04:00.000000Z"
    assert row["origin"] == "sampled"
    assert {row[name] for name in ("open", "high", "low", "close")} == {tick().price}
    assert (row["volume"], row["trades"], row["revisions"]) == (None, None, 1)
    assert row["fact_id"] == tick().id


@pytest.mark.parametrize(
    ("seconds", "minute"), [(0.5, "10:05"), (30, "10:05"), (59.999, "10:05"), (60, "10:05")]
)
def test_a_poll_within_a_minute_samples_that_minute(
    spark: SparkSession, seconds: float, minute: str
) -> None:
    (row,), _ = take(spark, tick(poll_at=AT + timedelta(seconds=seconds)))
    assert row["minute_at"] == f"2026-11-23T{minute}:00.000000Z"


def test_sources_and_symbols_do_not_mix(spark: SparkSession) -> None:
    other = candle(source="simulator:binance:8", close=Decimal("67005"))
    rows, _ = take(spark, candle(), other, candle(symbol=ETH))
    assert len(rows) == 3


def runner(lake: Lake) -> StageRunner:
    return StageRunner(
        lake=lake, read_ends=lambda: TopicEnds(cluster_id="c", topics={}), kafka_options={}
    )


def stored(lake: Lake) -> dict[tuple[str, str], Row]:
    rows = read(lake.read(CANDLES_1M))
    found = {(row["symbol"], row["minute_at"][11:16]): row for row in rows}
    assert len(found) == len(rows)
    return found


def test_a_correction_rewrites_its_slice_and_leaves_the_rest(lake: Lake) -> None:
    minutes = [candle(open_at=AT + n * MINUTE) for n in range(4)]
    put(lake, SILVER, facts(*minutes, candle(open_at=AT + MINUTE, symbol=ETH)))
    runner(lake).run(CANDLES)
    before = stored(lake)
    assert {row["batch"] for row in before.values()} == {1}
    corrected = candle(
        open_at=AT + MINUTE, close=Decimal("67015"), observed_at=AT + timedelta(hours=1)
    )
    put(lake, SILVER, facts(corrected, candle(open_at=AT + 4 * MINUTE)), batch=2)
    run = runner(lake).run(CANDLES)
    assert (run.rows_in, run.outcomes, run.rows_out) == (2, {"taken": 2}, {CANDLES_1M.key: 2})
    after = stored(lake)
    changed = after.pop((BTC, "10:06"))
    assert (changed["close"], changed["revisions"], changed["batch"]) == (Decimal("67015"), 2, 2)
    assert after.pop((BTC, "10:09"))["batch"] == 2
    del before[BTC, "10:06"]
    assert after == before


def test_a_slice_that_starts_within_a_minute_keeps_what_lies_before_it(lake: Lake) -> None:
    put(lake, SILVER, facts(*(candle(open_at=AT + n * MINUTE) for n in range(-2, 2))))
    runner(lake).run(CANDLES)
    before = stored(lake)
    odd = tick(poll_at=AT + timedelta(seconds=30, milliseconds=250), symbol=ETH)
    later = tick(poll_at=AT + timedelta(minutes=2, milliseconds=250), symbol=ETH)
    corrected = candle(open_at=AT + MINUTE, close=Decimal("67015"), observed_at=AT + 9 * MINUTE)
    put(lake, SILVER, facts(odd, corrected, later), batch=2)
    runner(lake).run(CANDLES)
    after = stored(lake)
    assert set(after) == {*before, (ETH, "10:05"), (ETH, "10:07")}
    assert after[BTC, "10:06"]["close"] == Decimal("67015")
