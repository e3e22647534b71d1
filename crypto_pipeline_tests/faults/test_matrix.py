"""Venue x fault against the real HTTP simulator; its log of requests is the witness."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from crypto_pipeline.source import coinbase, poll_candles
from crypto_pipeline.source.poll import PollResult
from crypto_pipeline_tests.faults.cases import CANDLES, CASES, SNAPSHOT, Case
from crypto_pipeline_tests.faults.world import SYMBOLS, Server, World, serving
from crypto_pipeline_tests.source.builders import NOW

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def world(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """One request at a time: threads that share a clock of sleeps would arrive out of order."""
    monkeypatch.setattr(poll_candles, "THREADS", 1)
    monkeypatch.setattr(coinbase, "THREADS", 1)
    return World(server, tmp_path)


def test_the_matrix_is_as_large_as_promised() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.venue for case in CASES} == set(SNAPSHOT)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fault(world: World, case: Case) -> None:
    options = {"endpoint": SNAPSHOT[case.venue], "venue": case.venue, **case.options}
    world.fault(case.fault, **options)
    result = world.poll(case.venue)
    poll = result.poll
    assert (poll.outcome, len(result.ticks)) == (case.outcome, case.ticks), poll.reason
    assert [row.reason for row in result.rejected] == list(case.reasons)
    assert world.paths().count(options["endpoint"]) == case.asked
    assert poll.served == poll.published + poll.unchanged + poll.rejected
    assert len(poll.symbols_asked) == 3
    assert (poll.reason is None) == (poll.outcome == "ok")
    assert_true(world, case, result)
    if case.candles is not None:
        assert len(result.candles) == case.candles
    assert_next_poll(world, case)
    world.assert_manners()


def assert_true(world: World, case: Case, result: PollResult) -> None:
    """What is published is what the venue said, and what is rejected is kept word for word."""
    at = NOW.replace(second=0) if case.venue == "coingecko" else None
    for tick in result.ticks:
        symbol = f"{tick.symbol.partition('-')[0]}-USDT"
        seen = at or tick.event_at or tick.observed_at
        assert tick.price == Decimal(str(world.truth(symbol, seen)))
        assert str(tick.price) in tick.record or f"{float(tick.price)}" in tick.record
    for candle in result.candles:
        assert candle.open_at == result.poll.poll_at.replace(minute=4)
        assert candle.symbol in SYMBOLS
    for row in result.rejected:
        assert row.detail
        assert case.fault != "html" or row.body.startswith("<!DOCTYPE html>")


def assert_next_poll(world: World, case: Case) -> None:
    """Twenty seconds later, from another process: silent while told or given up, else whole."""
    before = len(world.asked())
    world.wait(seconds=20)
    again = world.poll(case.venue)
    paths = world.paths(before)
    if case.then == "silent":
        assert paths == []
        assert again.poll.outcome in ("told_to_wait", "transient")
        assert again.poll.reason
        world.wait(minutes=16)
        again = world.poll(case.venue)
    assert len(again.ticks) == 3
    assert SNAPSHOT[case.venue] in world.paths(before)


def test_every_venue_is_whole_without_a_fault(world: World) -> None:
    for venue in SNAPSHOT:
        result = world.poll(venue)
        assert (result.poll.outcome, len(result.ticks)) == ("ok", 3)
        assert len(result.candles) == (3 if venue in CANDLES else 0)
        assert {tick.source for tick in result.ticks} == {f"simulator:{venue}:7"}
        assert {tick.venue for tick in result.ticks} == {venue}
    world.assert_manners()


@pytest.mark.parametrize("venue", SNAPSHOT)
def test_a_stale_answer_is_published_as_unchanged_and_its_age_is_said(
    world: World, venue: str
) -> None:
    world.poll(venue)
    world.wait(minutes=10)
    endpoints = [SNAPSHOT[venue]]
    if venue == "coinbase":
        endpoints = [SNAPSHOT[venue].replace("BTC-USDT", symbol) for symbol in SYMBOLS]
    for endpoint in endpoints:
        world.fault("stale", endpoint=endpoint)
    poll = world.poll(venue).poll
    assert (poll.served, poll.published, poll.unchanged) == (3, 0, 3)
    if venue != "kraken":
        assert "stale: the venue's newest row is" in str(poll.reason)
        assert poll.newest_event_at is not None
        assert (poll.ended_at - poll.newest_event_at).total_seconds() > 590


def test_an_unknown_symbol_costs_only_itself(world: World) -> None:
    world.options["SYMBOLS"] = ",".join((*SYMBOLS, "BTC-USTD"))
    for venue in ("binance", "kraken", "coinbase"):
        poll = world.poll(venue).poll
        assert (poll.outcome, poll.published, poll.candles) == ("partial", 3, 3)
        assert poll.reason == "unknown to the venue: BTC-USTD"
        assert "BTC-USTD" in poll.symbols_asked
    world.assert_manners()


def test_a_wrong_key_is_permanent_and_says_which_setting(world: World) -> None:
    world.options |= {"COINGECKO_API_KEY": "wrong"}
    poll = world.poll("coingecko").poll
    assert poll.outcome == "permanent"
    assert "COINGECKO_API_KEY" in str(poll.reason)
    assert "'wrong'" not in repr(world.settings)


def test_a_pro_key_goes_in_the_header_of_its_plan(world: World) -> None:
    world.options |= {"COINGECKO_API_KEY": "mine", "COINGECKO_PLAN": "pro"}
    assert "COINGECKO_PLAN" in str(world.poll("coingecko").poll.reason)
    world.wait(minutes=16)
    world.options["COINGECKO_PLAN"] = "demo"
    assert len(world.poll("coingecko").ticks) == 3


def test_reference_prices_carry_market_caps(world: World) -> None:
    for tick in world.poll("coingecko").ticks:
        assert tick.symbol.endswith("-USD")
        assert tick.market_cap is not None
        assert tick.market_cap > tick.price
