from __future__ import annotations

import gzip
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_pipeline.contract.tick import plain
from crypto_pipeline.source.binance_rows import parse_candles, parse_snapshot
from crypto_pipeline.source.body import BrokenBody, elements
from crypto_pipeline_tests.corpus.books import far
from crypto_pipeline_tests.source.builders import NOW, ORIGIN, POLL_AT, body, row

NAMES = {"BTCUSDT": "BTC-USDT", "ETHUSDT": "ETH-USDT"}
OPEN_MS = int(POLL_AT.timestamp() * 1000) - 60_000
KLINE = [OPEN_MS, "10.0", "12.0", "9.0", "11.0", "3.5", OPEN_MS + 59_999, "36.1", 8, "1", "2", "0"]


def test_snapshot__keeps_text_and_numbers_exactly() -> None:
    text = '{ "symbol":"BTCUSDT",  "lastPrice":0.00001234, "closeTime":1763892305000 }'
    ticks, rejected = parse_snapshot(f" [{text} ]", origin=ORIGIN, names=NAMES)
    assert rejected == []
    assert ticks[0].record == text
    assert plain(ticks[0].price) == "0.00001234"
    assert ticks[0].bid is None
    assert ticks[0].mark is None


def test_snapshot__maps_symbol_mark_and_venue_time() -> None:
    (tick,), _ = parse_snapshot(body(row()), origin=ORIGIN, names=NAMES)
    assert (tick.symbol, tick.mark, tick.event_at) == ("BTC-USDT", "90210", NOW)
    assert tick.trades_24h == 90210


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lastPrice": "NaN"}, "not_a_number"),
        ({"lastPrice": float("nan")}, "not_a_number"),
        ({"lastPrice": "Infinity"}, "not_a_number"),
        ({"lastPrice": None}, "not_a_number"),
        ({"lastPrice": True}, "not_a_number"),
        ({"lastPrice": "1_000"}, "not_a_number"),
        ({"lastPrice": "1e999999999"}, "not_a_number"),
        ({"lastPrice": "1e30"}, "out_of_range"),
        ({"lastPrice": "1e-19"}, "out_of_range"),
        ({"lastPrice": "0.00000000"}, "not_positive"),
        ({"lastPrice": "-1"}, "not_positive"),
        ({"lastPrice": ...}, "missing_field"),
        ({"closeTime": ...}, "missing_field"),
        ({"closeTime": 10**17}, "out_of_range"),
        ({"symbol": ...}, "missing_field"),
        ({"symbol": "DOGEUSDT"}, "unknown_symbol"),
        ({"symbol": ["BTCUSDT"]}, "unknown_symbol"),
        ({"bidPrice": "67012.02"}, "crossed"),
        ({"volume": "-3"}, "not_positive"),
        ({"lastId": "soon"}, "not_a_number"),
    ],
)
def test_snapshot__bad_row_is_rejected_and_good_row_kept(
    changes: dict[str, Any], reason: str
) -> None:
    text = body(row(**changes), row(symbol="ETHUSDT"))
    ticks, rejected = parse_snapshot(text, origin=ORIGIN, names=NAMES)
    assert [tick.symbol for tick in ticks] == ["ETH-USDT"]
    assert [one.reason for one in rejected] == [reason]
    assert rejected[0].body in text
    assert rejected[0].encode()


@pytest.mark.parametrize(
    ("text", "reasons", "count"),
    [
        ("", ["not_json"], 0),
        ("<html>", ["not_json"], 0),
        ('{"code":-1121}', ["not_an_array"], 0),
        ("[" * 100_000, ["not_json"], 0),
        (body(row())[:-1], ["not_json"], 1),
        (body(row()) + "x", ["not_json"], 1),
        (body(row(), row()), ["repeated_symbol"], 1),
        (body(row(), 5), ["not_an_object"], 1),
        ("[]", [], 0),
    ],
)
def test_snapshot__broken_bodies(text: str, reasons: list[str], count: int) -> None:
    ticks, rejected = parse_snapshot(text, origin=ORIGIN, names=NAMES)
    assert ([one.reason for one in rejected], len(ticks)) == (reasons, count)


def test_candles__unfinished_is_dropped_and_torn_is_rejected() -> None:
    torn = [*KLINE[:2], "8.0", *KLINE[3:]]
    running = [OPEN_MS + 60_000, *KLINE[1:]]
    candles, rejected = parse_candles(
        body(KLINE, torn, running),
        origin=ORIGIN,
        symbol="BTC-USDT",
        finished_by=NOW,
        is_backfill=False,
    )
    assert [candle.open_at for candle in candles] == [POLL_AT - timedelta(minutes=1)]
    assert (candles[0].close, candles[0].trades) == (Decimal("11.0"), 8)
    assert [one.reason for one in rejected] == ["torn"]


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.lists(st.integers(), max_size=2),
    st.sampled_from(["1.5", "1e-9", "-0", "9" * 50, "NaN", "0x10", "\u0661", "1e9999999999"]),
)
rows = st.one_of(
    values,
    st.dictionaries(st.sampled_from(list(row())), values, max_size=4).map(lambda d: row(**d)),
    st.lists(values, max_size=12),
)


@given(st.lists(rows, max_size=6))
def test_snapshot__rows_in_equal_ticks_plus_rejected(made: list[Any]) -> None:
    ticks, rejected = parse_snapshot(body(*made), origin=ORIGIN, names=NAMES)
    assert len(made) == len(ticks) + len(rejected)
    for message in [*(one.encode() for one in ticks), *(one.encode() for one in rejected)]:
        assert len(message) < 1_000_000
    for tick in ticks:
        assert tick.price.is_finite()
        assert tick.price > 0


@given(st.lists(rows, max_size=6))
def test_candles__rows_in_equal_candles_plus_rejected(made: list[Any]) -> None:
    """At a time by which all of them have closed: one that goes on is neither."""
    candles, rejected = parse_candles(
        body(*made, KLINE), origin=ORIGIN, symbol="A-B", finished_by=far(), is_backfill=True
    )
    assert len(made) + 1 == len(candles) + len(rejected)


@given(cut=st.integers(0, 900), noise=st.text(max_size=5), start=st.integers(0, 900))
def test_snapshot__no_damage_to_a_body_raises(cut: int, noise: str, start: int) -> None:
    text = body(row(), row(symbol="ETHUSDT"))
    damaged = text[:start] + noise + text[start + cut :]
    ticks, rejected = parse_snapshot(damaged, origin=ORIGIN, names=NAMES)
    assert len(list(elements(damaged))) == len(ticks) + len(rejected)


def test_elements__the_rest_of_a_cut_body_is_kept_verbatim() -> None:
    *_, last = elements('[1, {"a": 2')
    assert isinstance(last, BrokenBody)
    assert last.rest == '{"a": 2'


def test_snapshot__recorded_venue_of_2019(shared_data: Path) -> None:
    with gzip.open(shared_data / "rest" / "binance_2019_2020.jsonl.gz", "rt") as file:
        exchanges = [json.loads(line) for line in file]
    text = next(
        one["response"]["body"]
        for one in exchanges
        if one["request"]["url"] == "https://api.binance.com/api/v1/ticker/24hr"
    )
    loaded = json.loads(text)
    names = {one["symbol"]: one["symbol"] for one in loaded}
    ticks, rejected = parse_snapshot(text, origin=ORIGIN, names=names)
    assert len(ticks) + len(rejected) == len(loaded)
    assert len(ticks) > 500
    assert {one.reason for one in rejected} <= {"not_positive", "crossed"}
    prices = {one["symbol"]: Decimal(one["lastPrice"]) for one in loaded}
    assert all(tick.price == prices[tick.symbol] for tick in ticks)
    assert all(json.loads(tick.record)["symbol"] == tick.symbol for tick in ticks)


def test_snapshot__recorded_oddities_of_other_venues_do_not_raise(shared_data: Path) -> None:
    with gzip.open(shared_data / "rest" / "nasty_tickers.jsonl.gz", "rt") as file:
        bodies = [json.loads(line)["response"]["body"] for line in file]
    for text in bodies:
        ticks, rejected = parse_snapshot(text, origin=ORIGIN, names=NAMES)
        assert ticks == []
        assert rejected or text.strip() == "[]"
