"""Silver takes each fact once, whatever was sent again, late, changed or out of order."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import functions as F

from crypto_pipeline.bronze import schema as bronze
from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.silver import transform
from crypto_pipeline.silver.schema import CANDLES, GAPS, SET_ASIDE, TICKS
from crypto_pipeline_tests.builders import AT, ETH, MINUTE, Given, Row, candle, day_of, read, tick

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

DAY = timedelta(hours=24)
DECIMALS = ("price", "bid", "ask", "open", "high", "low", "close", "volume")


def typed(*facts: Tick | Candle, start: int = 0) -> list[Row]:
    """Facts as bronze has them, in the order of their arrival."""
    rows = []
    for offset, fact in enumerate(facts, start=start):
        table = bronze.TICKS if isinstance(fact, Tick) else bronze.CANDLES
        row = {name: getattr(fact, name) for name in table.columns if hasattr(fact, name)}
        at = row[table.fact_column]
        values = [str(row.get(name)) for name in DECIMALS]
        rows.append(
            {
                **row,
                "content_hash": "|".join(values),
                "topic": "t",
                "epoch": 0,
                "partition": 0,
                "offset": offset,
                "broker_at": AT + timedelta(milliseconds=offset),
                "date": day_of(at),
                "batch": 2,
            }
        )
    return rows


def taken(*facts: Tick | Candle) -> list[Row]:
    """Facts as silver has them from an earlier batch."""
    return [{**row, "is_late": False, "batch": 1} for row in typed(*facts, start=1000)]


class Silver:
    """What one batch does: accepted ids, reasons of what was set aside, and the outcomes."""

    def __init__(
        self,
        spark: SparkSession,
        *,
        ticks: list[Row] | None = None,
        candles: list[Row] | None = None,
        known_ticks: list[Row] | None = None,
        known_candles: list[Row] | None = None,
    ) -> None:
        given = Given(spark)(
            new={bronze.TICKS: ticks or [], bronze.CANDLES: candles or [], bronze.POLLS: []},
            known={TICKS: known_ticks or [], CANDLES: known_candles or [], GAPS: []},
        )
        result = transform.run(given)
        self.ticks = read(result.outputs[TICKS.key])
        self.candles = read(result.outputs[CANDLES.key])
        self.aside = read(result.outputs[SET_ASIDE.key])
        self.outcomes: Counter[str] = Counter()
        for rows in result.classified:
            for row in rows.groupBy("outcome").agg(F.count("*").alias("n")).collect():
                self.outcomes[row["outcome"]] += row["n"]
        for cached in result.cached:
            cached.unpersist()

    def reasons(self) -> dict[int, str]:
        return {row["offset"]: row["reason"] for row in self.aside}


def test_a_repeat_within_a_batch_is_a_duplicate_and_the_first_is_kept(spark: SparkSession) -> None:
    again = tick(observed_at=AT + MINUTE)
    silver = Silver(spark, ticks=typed(tick(), again, tick()), candles=typed(candle(), candle()))
    assert [row["offset"] for row in silver.ticks] == [0]
    assert [row["offset"] for row in silver.candles] == [0]
    assert silver.outcomes == {"tick": 1, "candle": 1, "duplicate": 3}
    assert sorted((row["kind"], row["reason"]) for row in silver.aside) == [
        ("candle", "duplicate"),
        ("tick", "duplicate"),
        ("tick", "duplicate"),
    ]


def test_a_repeat_of_an_earlier_batch_is_a_duplicate(spark: SparkSession) -> None:
    silver = Silver(
        spark,
        ticks=typed(tick(), tick(symbol=ETH)),
        candles=typed(candle(), candle(close=Decimal("67011"))),
        known_ticks=taken(tick()),
        known_candles=taken(candle()),
    )
    assert [row["symbol"] for row in silver.ticks] == [ETH]
    assert [row["close"] for row in silver.candles] == [Decimal("67011")]
    assert silver.outcomes == {"tick": 1, "candle": 1, "duplicate": 2}


def test_the_same_id_with_another_content_is_a_conflict(spark: SparkSession) -> None:
    other = tick(price=Decimal(1), bid=None, ask=None)
    within = Silver(spark, ticks=typed(tick(), other, tick()))
    assert within.ticks[0]["price"] == tick().price
    assert within.reasons() == {1: "conflict", 2: "duplicate"}
    across = Silver(spark, ticks=typed(other, tick(), other), known_ticks=taken(tick()))
    assert across.ticks == []
    assert across.reasons() == {0: "conflict", 1: "duplicate", 2: "conflict"}
    assert across.aside[0]["content_hash"]


def test_a_fact_behind_the_newest_one_is_taken_and_marked_late(spark: SparkSession) -> None:
    facts = [
        tick(poll_at=AT - MINUTE),
        tick(poll_at=AT),
        tick(poll_at=AT + MINUTE),
        tick(poll_at=AT - MINUTE, symbol=ETH),
    ]
    silver = Silver(spark, ticks=typed(*facts), known_ticks=taken(tick(poll_at=AT)))
    late = {row["offset"]: row["is_late"] for row in silver.ticks}
    assert late == {0: True, 2: False, 3: False}


def test_too_late_begins_behind_a_day(spark: SparkSession) -> None:
    edge = [tick(poll_at=AT - DAY), tick(poll_at=AT - DAY - timedelta(microseconds=1))]
    silver = Silver(spark, ticks=typed(*edge), known_ticks=taken(tick(poll_at=AT)))
    assert [row["offset"] for row in silver.ticks] == [0]
    assert silver.reasons() == {1: "too_late"}


def test_lateness_is_by_source_and_symbol(spark: SparkSession) -> None:
    old = AT - DAY - MINUTE
    facts = [tick(poll_at=old, symbol=ETH), tick(poll_at=old, source="simulator:binance:8")]
    silver = Silver(spark, ticks=typed(*facts), known_ticks=taken(tick(poll_at=AT)))
    assert len(silver.ticks) == 2
    assert not any(row["is_late"] for row in silver.ticks)


def test_history_is_never_too_late(spark: SparkSession) -> None:
    old = AT - 30 * DAY
    facts = [
        candle(open_at=old, is_backfill=True),
        candle(open_at=old + MINUTE),
        {**typed(candle(open_at=old + 2 * MINUTE))[0], "offset": 2, "is_backfill": None},
    ]
    rows = [*typed(*facts[:2]), facts[2]]  # type: ignore[arg-type]
    silver = Silver(spark, candles=rows, known_candles=taken(candle(open_at=AT)))
    assert [row["offset"] for row in silver.candles] == [0]
    assert silver.reasons() == {1: "too_late", 2: "too_late"}


def test_lateness_is_against_what_was_committed_and_not_against_the_batch(
    spark: SparkSession,
) -> None:
    silver = Silver(spark, ticks=typed(tick(poll_at=AT), tick(poll_at=AT - 2 * DAY)))
    assert len(silver.ticks) == 2


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_of_arrival_does_not_change_which_facts_are_taken(
    spark: SparkSession, seed: int
) -> None:
    facts = [
        tick(poll_at=AT + n * MINUTE, symbol=symbol) for n in range(4) for symbol in ("A-USDT", ETH)
    ]
    facts += [*facts[:5], tick(poll_at=AT, symbol=ETH, price=Decimal(3), bid=None)]
    known = taken(tick(poll_at=AT + MINUTE, symbol=ETH), tick(poll_at=AT + 9 * MINUTE, symbol=ETH))
    shuffled = random.Random(seed).sample(facts, len(facts))
    silver = Silver(spark, ticks=typed(*shuffled), known_ticks=known)
    ids = [row["id"] for row in silver.ticks]
    assert len(ids) == len(set(ids))
    assert set(ids) == {fact.id for fact in facts} - {row["id"] for row in known}
    assert silver.outcomes["tick"] == 7
    assert silver.outcomes["duplicate"] + silver.outcomes["conflict"] == 7


def test_what_is_set_aside_says_where_its_bytes_are(spark: SparkSession) -> None:
    silver = Silver(spark, candles=typed(candle(), candle()))
    (row,) = silver.aside
    assert (row["topic"], row["epoch"], row["partition"], row["offset"]) == ("t", 0, 0, 1)
    assert row["fact_at"] == "2026-11-23T10:04:00.000000Z"
    assert row["symbol"] == candle().symbol


def test_age_is_from_the_venues_time_to_ours(spark: SparkSession) -> None:
    facts = [
        tick(event_at=AT, observed_at=AT + timedelta(milliseconds=1500)),
        tick(event_at=None, symbol=ETH),
    ]
    ages = {row["symbol"]: row["age"] for row in Silver(spark, ticks=typed(*facts)).ticks}
    assert ages == {"BTC-USDT": pytest.approx(1.5), ETH: None}
