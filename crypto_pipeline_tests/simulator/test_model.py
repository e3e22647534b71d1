from __future__ import annotations

import math
import statistics
from decimal import Decimal
from itertools import pairwise

import pytest

from crypto_pipeline.setting_values import DEFAULT_SYMBOLS, parse_symbols
from crypto_pipeline.simulator.market import DAY_MS, MINUTE_MS, Bar
from crypto_pipeline.simulator.model import ModelMarket
from crypto_pipeline_tests.source.builders import NOW_MS

MINUTE = NOW_MS - NOW_MS % MINUTE_MS
MIDNIGHT = NOW_MS - NOW_MS % DAY_MS
SYMBOLS = ("BTC-USDT", "ETH-USDT", "PEPE-USDT", "ADA-BTC")


def returns(bars: list[Bar]) -> list[float]:
    return [math.log(float(b.close / a.close)) for a, b in pairwise(bars)]


def test_bars__same_in_any_order_and_process() -> None:
    one, other = ModelMarket(7, SYMBOLS), ModelMarket(7, ("ETH-USDT", "BTC-USDT"))
    other.bars("ETH-USDT", MIDNIGHT - 400 * DAY_MS, MIDNIGHT - 400 * DAY_MS, NOW_MS)
    late_first = other.bars("BTC-USDT", MINUTE - MINUTE_MS, MINUTE, NOW_MS)
    whole = one.bars("BTC-USDT", MIDNIGHT - DAY_MS, MINUTE, NOW_MS)
    assert whole[-2:] == late_first
    old = MIDNIGHT - 3 * DAY_MS
    assert one.bars("BTC-USDT", old, old, NOW_MS) == other.bars("BTC-USDT", old, old, NOW_MS)


def test_bars__another_seed_is_another_market() -> None:
    pair = [ModelMarket(seed, SYMBOLS).bars("BTC-USDT", MINUTE, MINUTE, NOW_MS) for seed in (7, 8)]
    assert pair[0] != pair[1]


def test_bars__every_minute_once_across_midnight_without_a_jump() -> None:
    bars = ModelMarket(7, SYMBOLS).bars("BTC-USDT", MIDNIGHT - DAY_MS, MINUTE, NOW_MS)
    assert [b.open_ms - a.open_ms for a, b in pairwise(bars)] == [MINUTE_MS] * (len(bars) - 1)
    around = bars[1439:1441]
    assert abs(returns(around)[0]) < 0.01


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_bars__are_whole(symbol: str) -> None:
    for bar in ModelMarket(7, SYMBOLS).bars(symbol, MIDNIGHT, MINUTE, NOW_MS):
        assert 0 < bar.low <= min(bar.open, bar.close)
        assert bar.high >= max(bar.open, bar.close)
        assert (bar.volume > 0) == (bar.trades > 0)
        assert bar.taker_volume <= bar.volume


def test_window__agrees_with_the_bars_at_any_second() -> None:
    market = ModelMarket(7, SYMBOLS)
    closed = market.bars("ETH-USDT", MINUTE, MINUTE, MINUTE + MINUTE_MS)[0]
    trades = 0
    for second in range(60):
        now = MINUTE + second * 1000
        running = market.bars("ETH-USDT", MINUTE, MINUTE, now)[0]
        window = market.window("ETH-USDT", now)
        assert window is not None
        assert window.last == running.close
        assert closed.low <= running.low <= running.high <= closed.high
        assert trades <= running.trades <= closed.trades
        trades = running.trades
    assert running == closed


def test_window__equals_the_day_of_bars() -> None:
    market, now = ModelMarket(7, SYMBOLS), MINUTE + MINUTE_MS - 1
    bars = market.bars("BTC-USDT", MINUTE - DAY_MS + MINUTE_MS, MINUTE, now)
    window = market.window("BTC-USDT", now)
    assert window is not None
    assert window.volume == sum((bar.volume for bar in bars), Decimal(0))
    assert window.quote_volume == sum((bar.quote_volume for bar in bars), Decimal(0))
    assert (window.high, window.low) == (max(b.high for b in bars), min(b.low for b in bars))
    assert window.trades == sum(bar.trades for bar in bars)
    assert window.trades == window.last_id - window.first_id + 1
    assert window.bid < window.ask


def test_window__ids_have_no_hole_over_midnight() -> None:
    market = ModelMarket(7, SYMBOLS)
    before = market.window("BTC-USDT", MIDNIGHT - 1)
    after = market.window("BTC-USDT", MIDNIGHT + MINUTE_MS - 1)
    first = market.bars("BTC-USDT", MIDNIGHT, MIDNIGHT, NOW_MS)[0]
    assert before is not None
    assert after is not None
    assert after.last_id - before.last_id == first.trades


def test_market__looks_like_one() -> None:
    """Correlated coins, volatility that clusters, a thin coin with empty minutes, right levels."""
    market = ModelMarket(7, (*parse_symbols(DEFAULT_SYMBOLS), "ADA-BTC"))
    day = {
        name: market.bars(name, MIDNIGHT - 3 * DAY_MS, MIDNIGHT - MINUTE_MS, NOW_MS)
        for name in ("BTC-USDT", "ETH-USDT", "ADA-BTC")
    }
    btc, eth = returns(day["BTC-USDT"]), returns(day["ETH-USDT"])
    assert statistics.correlation(btc, eth) > 0.5
    size = [abs(value) for value in btc]
    assert statistics.correlation(size[:-1], size[1:]) > 0.03
    assert 0.15 < statistics.pstdev(btc) * math.sqrt(525_600) < 2.5
    assert any(bar.trades == 0 for bar in day["ADA-BTC"])
    btc_now, pepe_now = (market.window(name, NOW_MS) for name in ("BTC-USDT", "PEPE-USDT"))
    assert btc_now is not None
    assert pepe_now is not None
    assert 20_000 < btc_now.last < 200_000
    assert pepe_now.last < Decimal("0.0002")
