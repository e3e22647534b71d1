from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from crypto_pipeline_tests.dashboard.market import (
    MINUTE,
    NOW,
    SOURCE,
    candle,
    forecast,
    make_feed,
    poll,
    record,
    status,
    summary,
    tick,
)
from dashboard.buffers import CANDLES_KEPT, RECORD_LIMIT

BTC = (SOURCE, "BTC-USDT")


def test_two_hours_of_ticks_are_kept_and_the_latest_of_each_symbol():
    ticks = [tick(at=NOW + timedelta(minutes=m), price=str(m + 1)) for m in range(300)]
    kept = make_feed(*ticks).snapshot().kept
    assert len(kept.ticks) == 121
    assert kept.latest[BTC].price == "300"
    assert kept.shed == {}, "what grew too old was not shed"


def test_candles_are_ordered_and_bounded_whatever_order_they_came_in():
    minutes = [MINUTE + timedelta(minutes=m) for m in range(CANDLES_KEPT + 40)]
    kept = make_feed(*(candle(open_at=minute) for minute in reversed(minutes))).snapshot().kept
    assert [c.open_at for c in kept.candles[BTC]] == minutes[-CANDLES_KEPT:]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_newest_revision_of_a_minute_wins(order):
    revisions = [
        candle(close="1.5", observed_at=NOW),
        candle(close="1.6", observed_at=NOW + timedelta(minutes=3)),
    ]
    kept = make_feed(*(revisions[place] for place in order)).snapshot().kept
    assert [c.close for c in kept.candles[BTC]] == [1.6]


def test_a_small_limit_sheds_and_counts_and_keeps_the_newest():
    ticks = [tick(at=NOW + timedelta(seconds=s), price=str(s + 1)) for s in range(100)]
    candles = [candle(open_at=MINUTE + timedelta(minutes=m)) for m in range(200)]
    kept = make_feed(*ticks, *candles, byte_limit=60_000).snapshot().kept
    assert kept.bytes <= 60_000
    assert kept.shed["market.ticks"] == 100 - len(kept.ticks)
    assert kept.shed["market.candles"] == 200 - len(kept.candles[BTC])
    assert kept.candles[BTC][-1].open_at == MINUTE + timedelta(minutes=199)
    assert kept.latest[BTC].price == "100"


def test_more_names_than_the_limit_holds_shed_the_oldest_name():
    kept = make_feed(*(tick(f"C{n}-USDT") for n in range(500)), byte_limit=50_000).snapshot().kept
    assert kept.bytes <= 50_000
    assert (SOURCE, "C499-USDT") in kept.latest
    assert kept.shed["keyed"] > 0


def test_an_oversized_record_is_shed_and_counted():
    huge = summary(padding="x" * (RECORD_LIMIT + 1))
    kept = make_feed(huge).snapshot().kept
    assert (kept.summaries, kept.shed) == ({}, {"market.summary": 1})


def test_the_last_word_of_each_key_is_kept_and_a_deletion_removes_it():
    feed = make_feed(summary(last="1"), summary(last="2"), forecast(), status("gold"), poll())
    kept = feed.snapshot().kept
    assert kept.summaries[BTC].last == "2"
    for topic, key in (
        ("market.summary", f"{SOURCE}|BTC-USDT"),
        ("market.forecasts", f"{SOURCE}|BTC-USDT|60|har_pooled"),
        ("pipeline.status", "gold"),
    ):
        feed.take(record(topic, None, key=key))
    left = feed.snapshot().kept
    assert (left.summaries, left.forecasts, left.status) == ({}, (), {})
    assert len(left.polls) == 1
    assert left.bytes < kept.bytes


@pytest.mark.parametrize(
    "bad",
    [
        record("market.ticks", {}),
        record("market.ticks", {**tick().value, "price": "NaN"}),
        record("market.ticks", {**tick().value, "price": 1.5}),
        record("market.ticks", {**tick().value, "symbol": ""}),
        record("market.ticks", {**tick().value, "poll_at": "2026-11-23T10:05:00"}),
        record("market.candles", {**candle().value, "close": "dear"}),
        summary(recent=[{"minute_at": 7}]),
        summary(return_1m={}),
        record("market.forecasts", {**forecast().value, "volatility": None}),
        status(seconds="long"),
        record("market.polls", {**poll().value, "symbols_asked": None}),
    ],
)
def test_what_a_topic_does_not_promise_is_a_value_error_and_changes_nothing(bad):
    feed = make_feed(tick())
    before = feed.snapshot().kept
    with pytest.raises(ValueError, match=r"."):
        feed.take(bad)
    after = feed.snapshot().kept
    assert (after.version, after.latest, after.bytes) == (
        before.version,
        before.latest,
        before.bytes,
    )


def test_a_snapshot_is_shared_until_something_changes_and_cannot_be_changed():
    feed = make_feed(tick(), summary())
    first = feed.snapshot().kept
    assert feed.snapshot().kept is first
    feed.take(tick("ETH-USDT"))
    second = feed.snapshot().kept
    assert second.version == first.version + 1
    assert len(first.latest) == 1
    with pytest.raises(TypeError):
        second.latest[BTC] = None  # type: ignore[index]
    with pytest.raises(ValueError, match="read-only"):
        second.summaries[BTC].recent.upper[0] = 1.0


def test_readers_and_the_writer_do_not_disturb_each_other():
    feed = make_feed()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(200):
                kept = feed.snapshot().kept
                assert kept.version >= len(kept.candles.get(BTC, ()))
        except BaseException as error:
            failures.append(error)
            raise

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for minute in range(300):
        feed.take(candle(open_at=MINUTE + timedelta(minutes=minute)))
    for reader in readers:
        reader.join()
    assert failures == []
