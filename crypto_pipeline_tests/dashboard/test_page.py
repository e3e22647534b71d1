"""The pages over fake markets: what each says in each state, and what the address keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from crypto_pipeline.settings import load
from crypto_pipeline_tests.browser.markets import HOSTILE, hostile, rich
from crypto_pipeline_tests.dashboard.market import candle, make_feed, tick, whole_market
from dashboard import feed as feed_module
from dashboard import process
from dashboard.alerts import Thresholds
from dashboard.pace import Pace
from dashboard.watcher import Watcher

PAGE = Path(feed_module.__file__).with_name("streamlit_app.py")
LIMITS = Thresholds(move_percent=2, volatility_percent=100, stale_seconds=180)


@pytest.fixture
def open_page(monkeypatch, tmp_path):
    settings = load(
        {"DAGSTER_PORT": "3111", "ALERT_VOLATILITY_PERCENT": "100"}, env_file=tmp_path / "no.env"
    )

    def run(feed, **query):
        watcher = Watcher(feed.look, LIMITS, send=None)  # not started: no thread
        for module, name, value in (
            (feed_module, "current_feed", feed),
            (feed_module, "current_settings", settings),
            (process, "current_watcher", watcher),
            (process, "current_pace", Pace(2.0, now=lambda: 0.0, cpu=lambda: 0.0)),
        ):
            monkeypatch.setattr(module, name, lambda value=value: value)
        page = AppTest.from_file(str(PAGE), default_timeout=60)
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
    assert [figure.label for figure in page.metric][:2] == [
        "Most volatile now",
        "Its next 60 minutes",
    ]
    assert len(page.metric) == 4
    assert list(page.dataframe[0].value["symbol"]) == ["DUST-USDT", "PEPE-USDT", "BTC-USDT"]
    assert len(page.get("plotly_chart")) == 2


def test_the_watch_list_is_searched_and_sorted(open_page, now):
    page = open_page(make_feed(*whole_market(now), now=now))
    page.selectbox(key="order").select("Symbol").run()
    assert list(page.dataframe[0].value["symbol"]) == ["BTC-USDT", "DUST-USDT", "PEPE-USDT"]
    page.text_input(key="search").input("pe").run()
    assert list(page.dataframe[0].value["symbol"]) == ["PEPE-USDT"]
    page.text_input(key="search").input("nothing").run()
    assert "No symbol of 3" in texts(page.caption)
    assert not page.exception


def test_the_symbol_page_shows_its_measures_chart_and_gaps(open_page, now):
    page = open_page(make_feed(*rich(now), now=now), page="symbol", symbol="PEPE-USDT")
    told = {figure.label: figure.value for figure in page.metric}
    assert told["Last move, z-score"] == "-2.4"
    assert "Spread 1.2 bps" in texts(page.caption)
    assert told["Change 1 h"] == "▲ +1.51 %"
    assert len(page.get("plotly_chart")) == 1
    assert list(page.dataframe[0].value["state"]) == ["open", "given up", "repaired"]


def test_the_forecasts_page_shows_what_is_served_and_every_model(open_page, now):
    page = open_page(make_feed(*rich(now), now=now), page="forecasts")
    served, scores, models = (frame.value for frame in page.dataframe)
    assert list(scores["model"]) == ["har_pooled", "ewma", "persistence"]
    assert list(scores["role"]) == ["★ served, champion", "baseline", ""]
    assert "har_pooled beats ewma" in texts(page.markdown).replace("\\", "")
    assert "nothing scored yet" in texts(page.caption)
    assert set(served["minutes"]) == {60}
    assert set(models["model"]) == {"har_pooled", "ewma", "persistence"}
    assert list(models[models["served"] != ""]["model"].unique()) == ["har_pooled"]


def test_the_forecasts_page_says_when_there_is_none(open_page, now):
    page = open_page(make_feed(tick(at=now), now=now), page="forecasts")
    assert "No forecast has been published yet" in texts(page.caption)
    assert "No score has been published yet" in texts(page.caption)


def test_the_pipeline_page_shows_stages_sources_runs_and_spool(open_page, now):
    page = open_page(make_feed(*rich(now), now=now), page="pipeline")
    sources, stages, runs, symbols = (frame.value for frame in page.dataframe)
    assert len(sources) == 1
    assert list(stages["stage"])[:2] == ["raw", "bronze"]
    assert set(stages["set aside"]) == {2}
    assert list(stages["behind"]) == [0] * 7
    assert runs["run"][0] == ("http://127.0.0.1:3111/runs/0d1e2f3a-0000-4b5c-8d9e-000000000000")
    assert len(runs) == 6
    assert symbols["open gap minutes"].sum() == 21
    told = {figure.label: (figure.value, figure.delta) for figure in page.metric}
    assert told["Gap minutes, 24 h"] == ("21 open", "9 given up")
    assert told["Spool"][0] == "0 polls"


def test_the_pipeline_page_says_what_was_never_told(open_page, now):
    page = open_page(make_feed(now=now), page="pipeline")
    for words in ("No poll has been told", "No stage has reported", "No run has", "No symbol is"):
        assert words in texts(page.caption)


def test_the_alerts_page_tells_what_is_over_the_viewers_own_thresholds(open_page, now):
    page = open_page(make_feed(*whole_market(now), now=now), page="alerts")
    over = page.dataframe[0].value
    assert list(over["symbol"]) == ["DUST-USDT"]
    assert list(over["measure"]) == ["120 % a year"]
    assert list(page.dataframe[1].value["state"]) == ["▲ begun"]
    page.number_input[1].set_value(500.0).run()
    assert "Nothing is over your thresholds" in texts(page.success)
    assert list(page.dataframe[0].value["state"]) == ["▽ ended", "▲ begun"]
    assert "No webhook" in texts(page.caption)


def test_an_unknown_page_in_the_address_is_the_market(open_page, now):
    page = open_page(make_feed(*whole_market(now), now=now), page="<script>")
    assert page.subheader[0].value == "Watch-list"


def test_a_symbol_alone_in_the_address_leads_to_its_page(open_page, now):
    page = open_page(make_feed(*whole_market(now), now=now), symbol="btc-usdt")
    assert page.selectbox(key="symbol").value == "BTC-USDT"


def test_times_are_utc_until_the_viewer_asks_for_the_own_zone(open_page, now):
    page = open_page(make_feed(*whole_market(now), now=now))
    assert "UTC · refreshed every 2 s" in texts(page.caption)


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
    page = open_page(
        make_feed(*whole_market(now), now=now), page="symbol", symbol="btc-usdt", hours="6"
    )
    assert page.selectbox(key="symbol").value == "BTC-USDT"
    assert page.session_state["hours"] == 6
    page.selectbox(key="symbol").select("PEPE-USDT").run()
    assert not page.exception
    assert page.query_params["symbol"] in ("PEPE-USDT", ["PEPE-USDT"])


def test_an_asked_symbol_that_comes_late_is_shown_when_it_comes(open_page, now, monkeypatch):
    page = open_page(make_feed(tick("ADA-USDT", at=now), now=now), page="symbol", symbol="BTC-USDT")
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
    market = list(whole_market(now))
    page = open_page(make_feed(*market, now=now), page="symbol", symbol="LATE-USDT")
    before = list(places(page.main, kind))
    late = make_feed(*market, tick("LATE-USDT", at=now), now=now)
    monkeypatch.setattr(feed_module, "current_feed", lambda: late)
    page.run()
    assert page.selectbox(key="symbol").value == "LATE-USDT"
    assert before
    assert list(places(page.main, kind)) == before


def test_a_wrong_symbol_in_the_address_is_told(open_page, now):
    page = open_page(make_feed(*whole_market(now), now=now), page="symbol", symbol="<img>")
    assert r"asks for \<img\>" in page.info[0].value
    assert page.selectbox(key="symbol").value == "DUST-USDT"


@pytest.mark.parametrize("name", ["market", "symbol", "forecasts", "pipeline", "alerts"])
def test_hostile_names_are_text_on_every_page(open_page, now, name):
    page = open_page(make_feed(*hostile(now), now=now), page=name)
    written = [*page.markdown, *page.caption, *page.warning, *page.info, *page.toast]
    assert not any(getattr(element.proto, "allow_html", False) for element in page.markdown)
    assert not any("<script" in element.value.replace("\\<", "") for element in written)
    assert not any("](http" in element.value.replace("\\]", "") for element in written)
    assert all(len(figure.value) < 200 for figure in page.metric)
    for chart in page.get("plotly_chart"):
        assert "<script" not in chart.proto.spec
        assert "<img" not in chart.proto.spec


def test_a_hostile_symbol_shows_its_own_text(open_page, now):
    page = open_page(make_feed(*hostile(now), now=now))
    shown = list(page.dataframe[0].value["symbol"])
    assert HOSTILE[0] in shown
    assert HOSTILE[3] in shown
    assert not any("\u202e" in name for name in shown)
    assert max(map(len, shown)) == 41


def test_a_symbol_that_goes_away_does_not_break_the_page(open_page, now, monkeypatch):
    page = open_page(make_feed(*whole_market(now), now=now), page="symbol")
    other = make_feed(tick("ETH-USDT", at=now), now=now)
    monkeypatch.setattr(feed_module, "current_feed", lambda: other)
    page.run()
    assert not page.exception
    assert page.selectbox(key="symbol").value == "ETH-USDT"
