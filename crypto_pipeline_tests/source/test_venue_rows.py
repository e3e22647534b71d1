"""Kraken's, Coinbase's and CoinGecko's bodies: every field where it belongs, errors by their kind.

What damage does to them is in `corpus`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.errors import (
    MarketError,
    PermanentMarketError,
    RequestRefusedError,
    ToldToWaitError,
    TransientMarketError,
    UnexpectedBodyError,
)
from crypto_pipeline.source import coinbase_rows, coingecko, coingecko_rows, kraken, kraken_rows
from crypto_pipeline.source.kraken_rows import result_names
from crypto_pipeline_tests.source.builders import NOW, ORIGIN, POLL_AT

OPEN = int(POLL_AT.timestamp()) - 60
KRAKEN_ROW = {
    "a": ["67012.2", "1", "1.500"],
    "b": ["67012.1", "2", "2.500"],
    "c": ["67012.15", "0.0040"],
    "v": ["812.1", "1934.2"],
    "p": ["66990.1", "66871.8"],
    "t": [9012, 21877],
    "l": ["66200.5", "66100.5"],
    "h": ["67300.0", "67400.0"],
    "o": "66500.0",
}
COINBASE_ROW = {
    "trade_id": 90210,
    "price": "67012.01",
    "size": "0.004",
    "time": "2026-11-23T10:05:03.123456789Z",
    "bid": "67012.00",
    "ask": "67012.02",
    "volume": "21034.112",
}
COINGECKO_ROW = {
    "symbol": "btc",
    "current_price": 67012.01,
    "market_cap": 1325874321987,
    "total_volume": 38123987123,
    "high_24h": 67400.1,
    "low_24h": None,
    "last_updated": "2026-11-23T10:04:59.123Z",
}


def kraken_body(result: Any, *errors: str) -> str:
    return json.dumps({"error": list(errors), "result": result})


def numbers(fact: object, *names: str) -> list[str]:
    return [str(getattr(fact, name)) for name in names]


@pytest.mark.parametrize("name", ["XBTUSD", "XXBTZUSD", "XBTZUSD"])
def test_kraken__a_pair_by_any_of_its_names(name: str) -> None:
    (tick,), rejected = kraken_rows.parse_snapshot(
        kraken_body({name: KRAKEN_ROW}), origin=ORIGIN, names=result_names(["BTC-USD"])
    )
    assert (tick.symbol, rejected) == ("BTC-USD", [])
    assert numbers(tick, "price", "bid", "ask") == ["67012.15", "67012.1", "67012.2"]
    assert numbers(tick, "bid_size", "ask_size") == ["2.500", "1.500"]
    assert numbers(tick, "high_24h", "low_24h", "volume_24h") == ["67400.0", "66100.5", "1934.2"]
    assert (tick.trades_24h, tick.mark, tick.event_at) == (21877, "9012:67012.15:0.0040", None)
    # `o` is today's open, not that of 24 hours ago.
    assert tick.open_24h is None


def test_kraken__rows_beside_an_error_are_kept_and_the_error_too() -> None:
    text = kraken_body({"XBTUSD": KRAKEN_ROW}, "EService:Busy", "WGeneral:Danger")
    ticks, rejected = kraken_rows.parse_snapshot(
        text, origin=ORIGIN, names=result_names(["BTC-USD"])
    )
    assert len(ticks) == 1
    assert [(row.reason, row.detail) for row in rejected] == [("venue_error", "EService:Busy")]


def test_kraken__one_pair_under_two_names_is_one_tick() -> None:
    text = kraken_body({"XBTUSD": KRAKEN_ROW, "XXBTZUSD": KRAKEN_ROW})
    ticks, rejected = kraken_rows.parse_snapshot(
        text, origin=ORIGIN, names=result_names(["BTC-USD"])
    )
    assert (len(ticks), [row.reason for row in rejected]) == (1, ["repeated_symbol"])


def test_kraken__the_running_minute_is_no_candle() -> None:
    closed = [OPEN, "10.0", "12.0", "9.0", "11.0", "10.5", "3.5", 8]
    text = kraken_body({"XXBTZUSD": [closed, [OPEN + 60, *closed[1:]]], "last": OPEN})
    candles, rejected = kraken_rows.parse_candles(
        text, origin=ORIGIN, symbol="BTC-USD", finished_by=NOW, is_backfill=True
    )
    assert rejected == []
    assert_candle(candles, trades=8)


def test_coinbase__every_field() -> None:
    (tick,), rejected = coinbase_rows.parse_snapshot(
        json.dumps(COINBASE_ROW), origin=ORIGIN, symbol="BTC-USD"
    )
    assert (tick.symbol, rejected, tick.mark) == ("BTC-USD", [], "90210")
    assert numbers(tick, "price", "bid", "ask", "volume_24h") == [
        *("67012.01", "67012.00", "67012.02", "21034.112")
    ]
    assert tick.event_at == datetime(2026, 11, 23, 10, 5, 3, 123456, UTC)
    assert (tick.bid_size, tick.high_24h, tick.trades_24h) == (None, None, None)


def test_coinbase__low_comes_before_high_and_new_before_old() -> None:
    rows = [[OPEN + 60, 1, 2, 1, 2, 3], [OPEN, 9.0, 12.0, 10.0, 11.0, 3.5], [OPEN - 60, 1, 2, 1, 2]]
    candles, rejected = coinbase_rows.parse_candles(
        json.dumps(rows), origin=ORIGIN, symbol="BTC-USD", finished_by=NOW, is_backfill=True
    )
    assert [row.reason for row in rejected] == ["missing_field"]
    assert_candle(candles, trades=None)
    both, _ = coinbase_rows.parse_candles(
        json.dumps(rows[:2]),
        origin=ORIGIN,
        symbol="BTC-USD",
        finished_by=NOW + timedelta(minutes=1),
        is_backfill=True,
    )
    assert [candle.open_at for candle in both] == [POLL_AT - timedelta(minutes=1), POLL_AT]


def test_coingecko__every_field_and_nulls_are_absent() -> None:
    (tick,), rejected = coingecko_rows.parse_snapshot(
        json.dumps([COINGECKO_ROW]), origin=ORIGIN, names={"btc": "BTC-USD"}
    )
    assert (tick.symbol, rejected, tick.low_24h, tick.bid) == ("BTC-USD", [], None, None)
    assert numbers(tick, "price", "high_24h", "market_cap", "quote_volume_24h") == [
        *("67012.01", "67400.1", "1325874321987", "38123987123")
    ]
    assert (tick.mark, tick.event_at) == (
        "2026-11-23T10:04:59.123Z",
        datetime(2026, 11, 23, 10, 4, 59, 123000, UTC),
    )


def test_coingecko__of_coins_with_one_symbol_the_first_is_meant() -> None:
    rows = [COINGECKO_ROW, {**COINGECKO_ROW, "current_price": 0.01}, {"symbol": "wbtc"}]
    ticks, rejected = coingecko_rows.parse_snapshot(
        json.dumps(rows), origin=ORIGIN, names={"btc": "BTC-USD"}
    )
    assert [tick.price for tick in ticks] == [Decimal("67012.01")]
    assert [row.reason for row in rejected] == ["repeated_symbol", "unknown_symbol"]


def kraken_error(code: str) -> str:
    return json.dumps({"error": [code]})


def coingecko_error(code: int | None) -> str:
    return json.dumps({"status": {"error_code": code, "error_message": "words"}})


JUDGED: list[tuple[Callable[[str, str], MarketError | None], str, type[MarketError]]] = [
    (kraken.judge, kraken_error("EAPI:Rate limit exceeded"), ToldToWaitError),
    (kraken.judge, kraken_error("EGeneral:Temporary lockout"), ToldToWaitError),
    (kraken.judge, kraken_error("EService:Busy"), TransientMarketError),
    (kraken.judge, kraken_error("EGeneral:Permission denied"), PermanentMarketError),
    (kraken.judge, kraken_error("EQuery:Unknown asset pair"), RequestRefusedError),
    (kraken.judge, kraken_error("EFuture:Something new"), UnexpectedBodyError),
    (kraken.judge, "[]", UnexpectedBodyError),
    (coingecko.judge, coingecko_error(429), ToldToWaitError),
    (coingecko.judge, coingecko_error(10_010), PermanentMarketError),
    (coingecko.judge, coingecko_error(502), TransientMarketError),
    (coingecko.judge, coingecko_error(None), UnexpectedBodyError),
    (coingecko.judge, '{"error":"Missing parameter"}', UnexpectedBodyError),
    (coingecko.judge, '{"error":{"status":{"error_code":429}}}', ToldToWaitError),
]


@pytest.mark.parametrize(("judge", "text", "kind"), JUDGED)
def test_judge__tells_errors_under_a_good_status_apart(
    judge: Callable[[str, str], MarketError | None], text: str, kind: type[MarketError]
) -> None:
    error = judge("https://venue/path", text)
    assert type(error) is kind
    assert str(error).startswith("https://venue/path ")


@pytest.mark.parametrize("text", ['{"error":[],"result":{}}', '{"error":["WGeneral:x"]}', "no"])
def test_judge__kraken_lets_the_rest_pass(text: str) -> None:
    assert kraken.judge("u", text) is None


def assert_candle(candles: list[Candle], *, trades: int | None) -> None:
    (candle,) = candles
    assert candle.open_at == POLL_AT - timedelta(minutes=1)
    assert numbers(candle, "open", "high", "low", "close", "volume") == [
        *("10.0", "12.0", "9.0", "11.0", "3.5")
    ]
    assert (candle.trades, candle.is_backfill) == (trades, True)
