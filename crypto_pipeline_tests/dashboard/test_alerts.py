"""What is over a threshold, when it begins and ends, and what a webhook is told."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import httpx
import pytest

from crypto_pipeline.setting_values import Secret
from crypto_pipeline_tests.dashboard.market import NOW, make_feed, summary, tick, whole_market
from dashboard import frames
from dashboard.alerts import EVERYTHING, LOG_KEPT, Log, Thresholds, exceeded, watch
from dashboard.watcher import LINES, LONGEST_PAUSE_SECONDS, WAITING_KEPT, Watcher, webhook

LIMITS = Thresholds(move_percent=2, volatility_percent=100, stale_seconds=180)
MINUTE = timedelta(minutes=1)


def known(*records, now=NOW):
    return make_feed(*records, now=now).look(now).known


def moved(change):
    return known(tick(), summary(return_5m=change, volatility_1h=0.1))


@pytest.mark.parametrize(
    ("change", "words"), [(0.03, "▲ +3.05 % in 5 min"), (-0.03, "▼ -2.96 % in 5 min")]
)
def test_a_move_either_way_is_one(change, words):
    assert exceeded(moved(change), LIMITS) == {("move", "BTC-USDT"): words}


def test_what_gold_does_not_know_is_no_alert():
    assert exceeded(known(tick(), summary(return_5m=None, volatility_1h=None)), LIMITS) == {}
    assert exceeded(moved(float("nan")), LIMITS) == {}


def test_one_stale_symbol_is_its_own_alert_and_all_stale_are_one():
    late = NOW + 4 * MINUTE
    some = known(tick(), tick("ETH-USDT", at=late), now=late)
    assert list(exceeded(some, LIMITS)) == [("stale", "BTC-USDT")]
    every = known(*whole_market(), now=late)
    limits = Thresholds(move_percent=2, volatility_percent=500, stale_seconds=180)
    assert list(exceeded(every, limits)) == [("stale", EVERYTHING)]


def test_a_value_on_the_edge_is_one_alert_until_it_is_well_below():
    log = Log()
    for change in (0.0201, 0.0195, 0.0201, 0.0195):
        watch(log, moved(change), LIMITS, NOW)
    assert [event.has_begun for event in log.events] == [True]
    watch(log, moved(0.001), LIMITS, NOW)
    assert [event.has_begun for event in log.events] == [True, False]
    assert log.active == {}


def test_the_log_is_bounded_and_an_empty_market_changes_nothing():
    log, calm, wild = Log(), moved(0.0), moved(0.05)
    for number in range(LOG_KEPT + 5):
        watch(log, wild if number % 2 else calm, LIMITS, NOW)
        watch(log, (), LIMITS, NOW)
    assert len(log.events) == LOG_KEPT


class Receiver:
    """A webhook that can be away, or answer with another status than 200."""

    def __init__(self):
        self.is_away, self.status, self.bodies, self.tries = False, 200, [], 0

    def __call__(self, body):
        self.tries += 1
        if self.is_away:
            raise httpx.ConnectError("secret address")
        request = httpx.Request("POST", "https://hooks.example/secret")
        httpx.Response(self.status, request=request).raise_for_status()
        self.bodies.append(body)


def watcher(receiver, feed):
    return Watcher(feed.look, LIMITS, send=receiver)


def test_the_webhook_is_told_once_of_what_begins_and_ends():
    receiver, feed = Receiver(), make_feed(tick(), summary(return_5m=0.05, volatility_1h=0.1))
    seen = watcher(receiver, feed)
    for second in range(3):
        seen.step(NOW + timedelta(seconds=second))
    feed.take(summary(return_5m=0.0, volatility_1h=0.1))
    seen.step(NOW + timedelta(seconds=4))
    states = [event["state"] for body in receiver.bodies for event in body["events"]]
    assert states == ["begun", "ended"]
    assert receiver.bodies[0]["events"][0]["symbol"] == "BTC-USDT"
    assert (seen.sent, seen.failed, seen.waiting) == (2, 0, 0)


def test_what_could_not_be_told_waits_and_goes_first_and_its_address_is_not_logged(caplog):
    receiver, feed = Receiver(), make_feed(tick(), summary(return_5m=0.05, volatility_1h=0.1))
    seen = watcher(receiver, feed)
    receiver.is_away = True
    seen.step(NOW)
    assert (seen.waiting, seen.failed) == (1, 1)
    assert "secret address" not in caplog.text
    receiver.is_away = False
    feed.take(summary(return_5m=0.0, volatility_1h=0.1))
    seen.step(NOW + timedelta(seconds=5))
    assert [event["state"] for event in receiver.bodies[0]["events"]] == ["begun", "ended"]
    assert WAITING_KEPT >= 100


def test_the_webhook_gets_the_text_that_chat_services_show():
    receiver, feed = Receiver(), make_feed(tick(), summary(return_5m=0.05, volatility_1h=0.1))
    seen = watcher(receiver, feed)
    seen.step(NOW)
    feed.take(summary(return_5m=0.0, volatility_1h=0.1))
    seen.step(NOW + timedelta(seconds=1))
    assert [body["text"] for body in receiver.bodies] == [
        "BEGUN move BTC-USDT: ▲ +5.13 % in 5 min",
        "ENDED move BTC-USDT: back below its threshold",
    ]


def test_a_text_of_many_alerts_ends_with_how_many_more():
    receiver, many = Receiver(), [f"C{n}-USDT" for n in range(LINES + 5)]
    wild = [summary(symbol, return_5m=0.05, volatility_1h=0.1) for symbol in many]
    watcher(receiver, make_feed(*(tick(symbol) for symbol in many), *wild)).step(NOW)
    (body,) = receiver.bodies
    assert body["text"].splitlines()[LINES:] == ["and 5 more"]
    assert len(body["events"]) == LINES + 5


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_what_the_webhook_refuses_is_dropped_and_said_once(status, caplog):
    receiver, feed = Receiver(), make_feed(tick(), summary(return_5m=0.05, volatility_1h=0.1))
    seen = watcher(receiver, feed)
    receiver.status = status
    for second in range(0, 60, 5):
        seen.step(NOW + timedelta(seconds=second))
    assert (receiver.tries, seen.waiting, seen.failed) == (1, 0, 1)
    assert [record.getMessage() for record in caplog.records] == [
        "ALERT_WEBHOOK_URL refuses alerts; 1 are dropped."
    ]


@pytest.mark.parametrize("status", [408, 429, 503])
def test_a_webhook_that_is_in_trouble_is_tried_ever_more_seldom(status):
    receiver, feed = Receiver(), make_feed(tick(), summary(return_5m=0.05, volatility_1h=0.1))
    seen = watcher(receiver, feed)
    receiver.status = status
    tried = []
    for second in range(0, 1500, 5):
        before = receiver.tries
        seen.step(NOW + timedelta(seconds=second))
        tried += [second] if receiver.tries > before else []
    pauses = [then - at for at, then in pairwise(tried)]
    assert pauses[:7] == [5, 10, 20, 40, 80, 160, LONGEST_PAUSE_SECONDS]
    assert set(pauses[6:]) == {LONGEST_PAUSE_SECONDS}
    assert seen.waiting >= 1


def test_without_a_webhook_the_log_is_kept_and_nothing_waits():
    feed = make_feed(tick(), summary(return_5m=0.05, volatility_1h=0.1))
    seen = Watcher(feed.look, LIMITS, send=None)
    seen.step(NOW)
    assert (len(seen.events), seen.waiting, seen.has_webhook) == (1, 0, False)
    assert webhook(None) is None
    assert "hooks" not in repr(Secret("https://hooks.example/1"))


def test_instruments_are_made_once_a_second_for_all_sessions(monkeypatch):
    made = []
    real = frames.instruments
    monkeypatch.setattr(frames, "instruments", lambda *a: made.append(1) or real(*a))
    feed = make_feed(*whole_market())
    looks = [feed.look(NOW) for _ in range(30)]
    assert len(made) == 1
    assert looks[0].known is looks[29].known
    feed.take(tick())
    feed.look(NOW)
    feed.look(NOW + timedelta(seconds=1))
    assert len(made) == 3
