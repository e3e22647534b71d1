"""Rows in bulk are what the contract's own values say, minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from crypto_pipeline.contract import topic
from crypto_pipeline_tests.fabricated.columns import decimals
from crypto_pipeline_tests.fabricated.history import History, history, no_topics
from crypto_pipeline_tests.fabricated.measures import measured
from crypto_pipeline_tests.fabricated.rows import Rows

NOW = datetime(2026, 11, 26, 0, 40, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def laid() -> History:
    return history(minutes=1_600, symbols=3, ends=no_topics(), now=NOW)


def test_decimals_are_exact() -> None:
    values = np.array([0, 1, -1, 6_701_201, -99, 9_999_999_999])
    assert decimals(values).to_pylist() == [Decimal(int(v)).scaleb(-2) for v in values]


def test_a_minute_is_the_same_alone_and_in_bulk(laid: History) -> None:
    many = list(laid.market.minutes(100, 103))
    assert laid.market.facts(101) == [*many[1].ticks, *many[1].candles, many[1].poll]


def test_a_candle_opens_where_the_one_before_closed(laid: History) -> None:
    first, second = laid.market.minutes(7, 9)
    for before, after in zip(first.candles, second.candles, strict=True):
        assert after.open == before.close
        assert after.low < min(after.open, after.close) <= max(after.open, after.close) < after.high


@pytest.mark.parametrize("number", [1, 1_439, 1_440, 1_600])
def test_the_layers_tell_the_same_minute(laid: History, number: int) -> None:
    rows, facts = Rows(laid), next(laid.market.minutes(number, number + 1))
    raw = rows.of("raw/records", topic.TICKS.name, number, number).to_pylist()
    assert [row["value"] for row in raw] == [tick.encode() for tick in facts.ticks]
    assert [row["key"] for row in raw] == [tick.key for tick in facts.ticks]
    bronze = rows.of("bronze/ticks", "", number, number).to_pylist()
    silver = rows.of("silver/ticks", "", number, number).to_pylist()
    for row, typed, fact, tick in zip(raw, bronze, silver, facts.ticks, strict=True):
        assert typed["id"] == fact["id"] == tick.id
        assert typed["price"] == fact["price"] == tick.price
        assert fact["content_hash"] == typed["content_hash"]
        for name in ("topic", "partition", "offset", "broker_at", "batch"):
            assert row[name] == typed[name] == fact[name]
    candles = rows.of("gold/candles_1m", "", number, number).to_pylist()
    assert [row["fact_id"] for row in candles] == [candle.id for candle in facts.candles]
    assert {row["minute_at"] for row in candles} == {facts.candles[0].open_at}
    assert {row["date"] for row in candles} == {facts.candles[0].open_at.date()}


def test_offsets_end_where_the_topics_end(laid: History) -> None:
    records = Rows(laid).of("raw/records", topic.TICKS.name, 1, 1_600).to_pylist()
    for number, span in laid.ends.topics[topic.TICKS.name].partitions.items():
        own = [row["offset"] for row in records if row["partition"] == number]
        assert own == list(range(span.end - len(own), span.end))


def test_measures_are_sums_over_the_minutes_before(laid: History) -> None:
    closes = laid.market.closes(0, 1_601) / 100
    found = measured(laid.market, 1_441, 1_601)
    returns = np.log(closes[1:] / closes[:-1])
    # Of minute 1,600, the last: its own return is the last of `returns`.
    assert found["return_1m"][-1] == pytest.approx(returns[-1])
    assert found["variance_5m"][-1] == pytest.approx((returns[-5:] ** 2).sum(0))
    assert found["variance_24h"][-1] == pytest.approx((returns[-1_440:] ** 2).sum(0))
    weights = 0.94 ** np.arange(1_439, -1, -1)[:, None]
    mean = (weights * returns[-1_440:] ** 2).sum(0) / weights.sum()
    assert found["ewma"][-1] == pytest.approx(np.sqrt(mean * 525_600))
    hour = returns[-60:]
    assert found["z_score"][-1] == pytest.approx(hour[-1] / hour.std(0, ddof=1))
    middle, deviation = closes[-20:].mean(0), closes[-20:].std(0)
    assert found["bollinger_width"][-1] == pytest.approx(4 * deviation / middle)


def test_before_the_first_minute_there_is_nothing(laid: History) -> None:
    found = measured(laid.market, 1, 7)
    assert np.isnan(found["return_1m"][0]).all()
    assert np.isnan(found["variance_5m"][4]).all()
    assert np.isfinite(found["variance_5m"][5]).all()
    assert found["returns_24h"][:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    forecasts = Rows(laid).of("predictions/forecasts", "", 1, 100).column("batch").to_pylist()
    assert [forecasts.count(n) // 3 for n in (1, 2, 6, 16, 61)] == [0, 3, 4, 5, 6]
