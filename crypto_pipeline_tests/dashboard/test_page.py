from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from crypto_pipeline_tests.dashboard.market import candle, make_feed, summary, tick, whole_market
from dashboard import feed as feed_module

PAGE = Path(feed_module.__file__).with_name("streamlit_app.py")


@pytest.fixture
def open_page(monkeypatch):
    def run(feed, **query):
        monkeypatch.setattr(feed_module, "current_feed", lambda: feed)
        page = AppTest.from_file(str(PAGE), default_timeout=20)
        for name, value in query.items():
            page.query_params[name] = value
        page.run()
        assert not page.exception, page.exception
        return page

    return run


@pytest.fixture
def now():
    return datetime.now(UTC)


def texts(elements):
    return " ".join(element.value for element in elements)


def test_starting_says_what_it_waits_for_and_shows_no_numbers(open_page, now):
    page = open_page(make_feed(state="connecting", now=now))
    assert "Starting" in page.info[0].value
    assert page.info[0].value.count("waiting") == 5
    assert len(page.metric) == 0


def test_half_started_ticks_off_what_has_come(open_page, now):
    page = open_page(make_feed(candle(), tick(at=now), now=now))
    assert page.info[0].value.count("waiting") == 2
    assert "SIMULATED" in texts(page.warning)


def test_a_full_simulated_market_shows_everything_and_is_told_loudly(open_page, now):
    page = open_page(make_feed(*whole_market(now), now=now))
    assert "SIMULATED DATA" in page.warning[0].value
    assert len(page.info) == len(page.error) == 0
    assert len(page.metric) == 5
    assert list(page.dataframe[0].value["symbol"]) == ["DUST-USDT", "PEPE-USDT", "BTC-USDT"]
    assert page.selectbox(key="symbol").value == "DUST-USDT"
    assert len(page.get("plotly_chart")) == 1


def test_a_live_market_names_its_venue_and_warns_of_nothing(open_page, now):
    page = open_page(make_feed(tick(at=now, market="live", source="binance"), now=now))
    assert "LIVE MARKET" in page.success[0].value
    assert "binance" in page.success[0].value
    assert len(page.warning) == 0


def test_an_away_broker_is_told_and_the_last_values_stay(open_page, now):
    past = now - timedelta(minutes=7)
    page = open_page(make_feed(*whole_market(past), state="away", now=now, reason="No answer."))
    assert "Broker away" in page.error[0].value
    assert "No answer" in page.error[0].value
    assert set(page.dataframe[0].value["state"]) == {"✕ dead 7 min"}
    assert page.metric[2].value == "7 min"


def test_an_away_broker_before_any_value_says_so(open_page, now):
    page = open_page(make_feed(state="away", now=now, reason="No answer."))
    assert "There are no values yet" in page.error[0].value
    assert "Starting" in page.info[0].value


def test_a_stopped_reader_is_an_error(open_page, now):
    assert "reader has stopped" in open_page(make_feed(state="stopped", now=now)).error[0].value


def test_a_poll_that_does_not_come_is_stale(open_page, now):
    page = open_page(make_feed(*whole_market(now - timedelta(minutes=3)), now=now))
    assert "Stale: no new poll for 3 min" in page.warning[1].value


def test_the_address_names_symbol_and_range_and_keeps_a_new_choice(open_page, now):
    page = open_page(make_feed(*whole_market(now), now=now), symbol="btc-usdt", hours="6")
    assert page.selectbox(key="symbol").value == "BTC-USDT"
    assert page.session_state["hours"] == 6
    page.selectbox(key="symbol").select("PEPE-USDT").run()
    assert not page.exception
    assert page.query_params["symbol"] in ("PEPE-USDT", ["PEPE-USDT"])


def test_an_asked_symbol_that_comes_late_is_shown_when_it_comes(open_page, now, monkeypatch):
    page = open_page(make_feed(tick("ADA-USDT", at=now), now=now), symbol="BTC-USDT")
    assert page.selectbox(key="symbol").value == "ADA-USDT"
    assert "asks for BTC" in page.info[-1].value
    both = make_feed(tick("ADA-USDT", at=now), tick("BTC-USDT", at=now), now=now)
    monkeypatch.setattr(feed_module, "current_feed", lambda: both)
    page.run()
    assert page.selectbox(key="symbol").value == "BTC-USDT"
    assert not any("asks for" in info.value for info in page.info)
    page.selectbox(key="symbol").select("ADA-USDT").run()
    assert page.query_params["symbol"] in ("ADA-USDT", ["ADA-USDT"])
    page.run()
    assert page.selectbox(key="symbol").value == "ADA-USDT"


def places(block, kind, path=()):
    """Where elements of a kind stand in the page: the numbers of their blocks, outermost first."""
    for number, child in block.children.items():
        if child.type == kind:
            yield (*path, number)
        elif hasattr(child, "children"):
            yield from places(child, kind, (*path, number))


# An element that moves is on the screen twice until the run has ended.
@pytest.mark.parametrize("kind", ["plotly_chart", "selectbox"])
def test_what_is_drawn_stays_in_its_place_when_a_notice_goes(open_page, now, monkeypatch, kind):
    market = whole_market(now)
    page = open_page(make_feed(*market, now=now), symbol="LATE-USDT")
    before = list(places(page.main, kind))
    late = make_feed(*market, tick("LATE-USDT", at=now), now=now)
    monkeypatch.setattr(feed_module, "current_feed", lambda: late)
    page.run()
    assert page.selectbox(key="symbol").value == "LATE-USDT"
    assert before
    assert list(places(page.main, kind)) == before


def test_a_wrong_symbol_in_the_address_is_told(open_page, now):
    page = open_page(make_feed(*whole_market(now), now=now), symbol="<img>")
    assert r"asks for \<img\>" in page.info[0].value
    assert page.selectbox(key="symbol").value == "DUST-USDT"


def test_a_hostile_symbol_is_text(open_page, now):
    hostile = "<script>alert(1)</script>"
    page = open_page(make_feed(tick(hostile, at=now), summary(hostile, now=now), now=now))
    assert page.dataframe[0].value["symbol"][0] == hostile
    assert page.metric[0].value.startswith(r"\<script\>")
    assert r"\<script\>" in texts(page.markdown)
    assert not any(element.proto.allow_html for element in page.markdown)


def test_a_symbol_that_goes_away_does_not_break_the_page(open_page, now, monkeypatch):
    page = open_page(make_feed(*whole_market(now), now=now))
    other = make_feed(tick("ETH-USDT", at=now), now=now)
    monkeypatch.setattr(feed_module, "current_feed", lambda: other)
    page.run()
    assert not page.exception
    assert page.selectbox(key="symbol").value == "ETH-USDT"
