from __future__ import annotations

from crypto_pipeline.observed.declared import DASHBOARD
from crypto_pipeline_tests.dashboard.market import NOW, make_feed, whole_market
from crypto_pipeline_tests.observed.pages import names, values
from dashboard import feed as feed_module
from dashboard.observing import WATCHED, Watched


def test_before_the_first_visit_all_names_are_there_and_nothing_is_wrong():
    watched = Watched()
    assert names(watched.page().decode()) == [metric.name for metric in DASHBOARD]
    assert set(values(watched.page().decode()).values()) == {0}
    assert watched.health().status == 200


def test_what_the_feed_holds_is_seen():
    watched = Watched()
    watched.watch(make_feed(*whole_market(NOW), now=NOW).snapshot)
    found = values(watched.page().decode())
    assert found["dashboard_reader_live"] == 1
    assert found["dashboard_buffer_bytes"] > 1_000
    assert watched.health().content()["reader"] == "live"


def test_what_is_shed_is_counted():
    watched = Watched()
    watched.watch(make_feed(*whole_market(NOW), now=NOW, byte_limit=20_000).snapshot)
    assert values(watched.page().decode())["dashboard_shed_total"] > 0


def test_a_broker_that_is_away_is_a_sentence_with_its_reason():
    watched = Watched()
    watched.watch(make_feed(state="away", now=NOW, reason="Kafka does not answer.").snapshot)
    health = watched.health()
    assert health.status == 503
    assert "is away since 2026-11-23 10:04:28 UTC: Kafka does not answer." in health.problems[0]
    assert values(watched.page().decode())["dashboard_reader_live"] == 0


def test_a_thread_that_ended_is_a_sentence():
    watched = Watched()
    watched.watch(make_feed(state="stopped", now=NOW).snapshot)
    assert "stopped since" in watched.health().problems[0]
    assert "its thread has ended." in watched.health().problems[0]


def test_the_first_visit_is_what_is_watched(monkeypatch):
    feed = make_feed(now=NOW)
    monkeypatch.setattr(feed_module, "Feed", lambda *_, **__: feed)
    monkeypatch.setattr(WATCHED, "_look", None)
    feed_module.current_feed.clear()
    try:
        feed_module.current_feed()
        assert WATCHED.health().content()["reader"] == "live"
    finally:
        feed_module.current_feed.clear()
