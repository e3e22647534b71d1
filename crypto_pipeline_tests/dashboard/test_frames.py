from __future__ import annotations

import math
from datetime import timedelta

import pytest

from crypto_pipeline_tests.dashboard.market import (
    MINUTE,
    NOW,
    candle,
    forecast,
    make_feed,
    status,
    summary,
    tick,
    whole_market,
)
from dashboard import frames, states, tables, words


@pytest.mark.parametrize(
    ("symbol", "shown"),
    [("BTC-USDT", "87,654.32"), ("PEPE-USDT", "0.00000614"), ("DUST-USDT", "0.0000000012")],
)
def test_a_price_shows_its_own_digits_and_no_float(symbol, shown):
    known = frames.instruments(make_feed(tick(symbol)).snapshot().kept, NOW)
    assert known[0].shown_price == shown


def test_padding_zeros_do_not_show_but_digits_do_not_jump_between_polls():
    feed = make_feed(tick(price="1.2300"), tick(price="1.2000", at=NOW + timedelta(minutes=1)))
    assert frames.instruments(feed.snapshot().kept, NOW)[0].shown_price == "1.20"


def test_rows_come_by_rank_with_changes_in_percent_and_the_served_forecast():
    table = tables.market_table(frames.instruments(make_feed(*whole_market()).snapshot().kept, NOW))
    assert list(table["symbol"]) == ["DUST-USDT", "PEPE-USDT", "BTC-USDT"]
    first = table.iloc[0]
    assert first["24h"] == pytest.approx(100 * math.expm1(-0.05))
    assert first["volatility 1h"] == pytest.approx(120)
    assert first["forecast"] == pytest.approx(65)
    assert first["state"] == "● fresh 5 s"
    assert len(first["spark"]) == 60


def test_what_never_came_is_empty_not_wrong():
    table = tables.market_table(frames.instruments(make_feed(tick()).snapshot().kept, NOW))
    row = table.iloc[0]
    assert row[["rank", "1m", "volatility 1h", "forecast", "spread"]].isna().all()
    assert row["band"] == words.NOTHING
    assert row["spark"] == []


def test_only_the_newest_served_forecast_counts():
    old = forecast(model="ewma", now=NOW - timedelta(minutes=9))
    other = forecast(model="persistence", is_served=False, now=NOW + timedelta(minutes=1))
    kept = make_feed(forecast(), old, other, tick()).snapshot().kept
    assert [f.model for f in frames.instruments(kept, NOW)[0].forecasts] == ["har_pooled"]


def test_sources_are_not_mixed_and_the_newest_one_shows():
    before = tick("ETH-USDT", source="binance", at=NOW - timedelta(minutes=3), market="live")
    kept = make_feed(tick(), before, candle(source="binance")).snapshot().kept
    assert [one.symbol for one in frames.instruments(kept, NOW)] == ["BTC-USDT"]
    assert frames.instruments(kept, NOW)[0].candles == ()


@pytest.mark.parametrize("later", [0, 2])
def test_reference_prices_of_the_same_minute_never_take_the_venues_place(later):
    at = NOW + timedelta(seconds=later)
    reference = tick("BTC-USD", source="coingecko", venue="coingecko", market="live", at=at)
    venue = tick(source="binance", market="live")
    for records in ((reference, venue), (venue, reference)):
        view = make_feed(*records, now=at).snapshot()
        assert frames.shown_source(view.kept) == "binance"
        assert [one.symbol for one in frames.instruments(view.kept, at)] == ["BTC-USDT"]
        assert "venue binance" in states.market_notice(view).text
    alone = make_feed(reference, candle(source="binance"), now=at).snapshot().kept
    assert frames.shown_source(alone) == "binance"


@pytest.mark.parametrize(
    ("seconds", "badge"),
    [(0, "● fresh 0 s"), (89, "● fresh 89 s"), (90, "▲ stale 90 s"), (300, "✕ dead 5 min")],
)
def test_age_is_told_by_word_and_shape(seconds, badge):
    assert words.judge_age(NOW - timedelta(seconds=seconds), NOW).badge == badge


def test_a_recorded_minute_is_as_fresh_as_its_arrival():
    past = tick(at=NOW - timedelta(days=900), market="recorded", source="recorded:2023")
    arrived = make_feed(type(past)(**{**_fields(past), "broker_at": NOW}))
    view = arrived.snapshot()
    assert frames.instruments(view.kept, NOW)[0].freshness.word == "fresh"
    notice = states.market_notice(view)
    assert notice is not None
    assert "RECORDED" in notice.text
    assert "2024" in notice.text


def test_a_simulated_market_is_told_before_its_first_tick():
    notice = states.market_notice(make_feed(candle()).snapshot())
    assert notice is not None
    assert notice.text.startswith("**SIMULATED DATA**")


def test_the_headline_tells_what_moves_most_its_forecast_and_freshness():
    view = make_feed(*whole_market()).snapshot()
    told = {f.label: f for f in states.headline(view, frames.instruments(view.kept, NOW), NOW)}
    assert told["Most volatile now"].value == r"DUST\-USDT"
    assert told["Its next 60 minutes"].value == "65 % a year"
    assert told["Its next 60 minutes"].note == "-0.77 … +0.78 %"
    assert told["Newest poll"].value == "5 s"
    assert told["Newest poll"].note == "● fresh: 3 of 3 symbols fresh"
    assert told["Lake lag"].value == "9 s"


def test_the_pipeline_table_is_in_the_order_of_commits():
    kept = make_feed(status("gold"), status("raw", at=MINUTE, rejected=3)).snapshot().kept
    table = tables.stage_table(kept, NOW, words.IN_UTC)
    assert list(table["stage"]) == ["raw", "gold"]
    assert list(table["rejected"]) == [3, 0]


def test_infinite_and_absurd_returns_show_as_nothing():
    assert words.change_percent(float("inf")) is None
    assert words.change_percent(1e6) is None
    assert words.as_percent(float("nan")) is None


def test_text_from_outside_is_short_printable_and_escaped():
    assert words.plain_text("a\u202eb\nc") == "a�b�c"
    assert len(words.plain_text("x" * 10_000)) == 41
    assert words.safe_markdown("<script>$x$:red[a]") == r"\<script\>\$x\$\:red\[a\]"


@pytest.mark.parametrize("text", ["http://evil.example", "www.evil.example", "me@evil.example"])
def test_an_address_in_a_text_does_not_become_a_link(text):
    shown = words.safe_markdown(text).replace("\\", "")
    assert text not in shown
    assert shown.replace("\u2060", "") == text


def test_an_unknown_symbol_in_the_address_falls_back_to_the_most_volatile():
    known = frames.instruments(make_feed(*whole_market()).snapshot().kept, NOW)
    assert states.find_symbol("btc-usdt", known) == "BTC-USDT"
    assert states.find_symbol("NOPE", known) is None
    assert states.find_symbol(None, known) is None


def _fields(record):
    return {name: getattr(record, name) for name in record.__slots__}


def test_summary_without_rank_sorts_last():
    kept = make_feed(summary(volatility_rank=None), summary("ETH-USDT")).snapshot().kept
    assert [one.symbol for one in frames.instruments(kept, NOW)] == ["ETH-USDT", "BTC-USDT"]
