"""Venues in a row: the first with ticks has the minute, and each record says why it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import Rejected
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.errors import (
    MarketError,
    PermanentMarketError,
    ToldToWaitError,
    TransientMarketError,
    WrongContentError,
)
from crypto_pipeline.source import failover
from crypto_pipeline.source.binance_rows import parse_snapshot
from crypto_pipeline.source.breaker import Breaker
from crypto_pipeline.source.failover import Feed, Minute, first_open, poll_in_turn
from crypto_pipeline.source.poll import PollResult
from crypto_pipeline.source.venue import Fetched, Origin, Snapshot
from crypto_pipeline_tests.source.builders import NOW, POLL_AT, FakeClock, body, row

TELL = ToldToWaitError("slow down", retry_after_seconds=60)
REFUSE = PermanentMarketError("not served from here")
FAIL = TransientMarketError("no answer in time")
WRONG = WrongContentError("a log-in page")


@dataclass
class FakeVenue:
    """Answers BTC-USDT, or raises what `failure` holds at the time; keeps when it was asked."""

    name: str
    failure: MarketError | None = None
    text: str = field(default_factory=lambda: body(row()))
    asked: list[Sequence[str] | None] = field(default_factory=list)
    candle_page: int = 0

    def fetch_snapshot(self, symbols: Sequence[str] | None) -> Snapshot:
        self.asked.append(symbols)
        if self.failure is not None:
            raise self.failure
        part = Fetched(body=self.text, endpoint="/t", budget_used=None, symbols=("BTC-USDT",))
        return Snapshot(parts=(part,))

    def parse_snapshot(
        self, body: str, *, origin: Origin, symbols: Sequence[str]
    ) -> tuple[list[Tick], list[Rejected]]:
        return parse_snapshot(body, origin=origin, names={"BTCUSDT": symbols[0]})

    def fetch_candles(self, symbol: str, start: datetime, end: datetime) -> Fetched:
        raise AssertionError("this venue has no candles")

    def parse_candles(
        self, body: str, *, origin: Origin, symbol: str, finished_by: datetime, is_backfill: bool
    ) -> tuple[list[Candle], list[Rejected]]:
        raise AssertionError("this venue has no candles")

    def server_time(self) -> datetime:
        return NOW

    def listed_symbols(self) -> frozenset[str]:
        return frozenset({"BTC-USDT"})


class World:
    """Three venues over one folder of breakers; every poll makes its feeds anew."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, FakeClock()
        self.venues = [FakeVenue(name) for name in ("binance", "kraken", "coinbase")]
        self.marks = {f"live:{venue.name}": {"BTC-USDT": "x"} for venue in self.venues}

    @property
    def feeds(self) -> list[Feed]:
        return [
            Feed(
                venue=venue,
                source=f"live:{venue.name}",
                breaker=Breaker(venue.name, self.folder / f"{venue.name}.json"),
            )
            for venue in self.venues
        ]

    def poll(self, *failures: MarketError | None) -> PollResult:
        for venue, failure in zip(self.venues, failures, strict=False):
            venue.failure = failure
        minute = Minute(market="live", symbols=["BTC-USDT"], poll_at=POLL_AT, clock=self.clock)
        return poll_in_turn(
            self.feeds, minute, marks_of=lambda source: self.marks[source], real=self.clock
        )

    def asked(self) -> list[int]:
        return [len(venue.asked) for venue in self.venues]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_first_venue_has_the_minute_and_no_other_is_asked(world: World) -> None:
    result = world.poll()
    assert (result.poll.venue, result.poll.venue_reason, result.earlier) == ("binance", None, ())
    assert world.asked() == [1, 0, 0]


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (TELL, "told_to_wait"),
        (REFUSE, "permanent"),
        (FAIL, "transient"),
        (WRONG, "wrong_content"),
    ],
)
def test_the_next_one_is_asked_and_its_record_says_why(
    world: World, failure: MarketError, outcome: str
) -> None:
    result = world.poll(failure)
    assert result.poll.venue_reason == f"binance {outcome}: {failure}"
    assert {(tick.source, tick.venue) for tick in result.ticks} == {("live:kraken", "kraken")}
    assert [(one.poll.venue, one.poll.outcome) for one in result.earlier] == [("binance", outcome)]
    assert world.asked() == [1, 1, 0]


def test_reasons_add_up_in_order(world: World) -> None:
    result = world.poll(REFUSE, FAIL)
    assert result.poll.venue_reason == (
        "binance permanent: not served from here; kraken transient: no answer in time"
    )
    assert [one.poll.venue_reason for one in result.earlier] == [
        None,
        "binance permanent: not served from here",
    ]


def test_a_venue_without_one_tick_is_passed_over_but_its_rows_are_kept(world: World) -> None:
    world.venues[0].text = body(row(lastPrice="0"))
    result = world.poll()
    assert (result.poll.venue, world.asked()) == ("kraken", [1, 1, 0])
    (earlier,) = result.earlier
    assert (earlier.poll.outcome, earlier.poll.served, earlier.poll.rejected) == (
        "wrong_content",
        1,
        1,
    )


def test_when_all_fail_the_last_is_the_result(world: World) -> None:
    result = world.poll(REFUSE, FAIL, TELL)
    assert (result.poll.venue, result.poll.outcome, result.ticks) == (
        "coinbase",
        "told_to_wait",
        (),
    )
    assert [one.poll.venue for one in result.earlier] == ["binance", "kraken"]


def test_a_refusing_venue_is_left_alone_and_then_taken_back(world: World) -> None:
    world.poll(REFUSE)
    world.clock.at += timedelta(minutes=14)
    second = world.poll(None)
    assert second.poll.venue_reason == (
        "binance is left alone until 2026-11-23T10:20Z (not served from here)"
    )
    assert (second.earlier, world.asked()) == ((), [1, 2, 0])
    world.clock.at += timedelta(minutes=1)
    third = world.poll(None)
    assert (third.poll.venue, third.poll.venue_reason) == ("binance", None)
    assert world.asked() == [2, 2, 0]


def test_first_open__is_the_venue_that_would_be_asked(world: World) -> None:
    def name() -> str | None:
        feed = first_open(world.feeds, real=world.clock)
        return feed.venue.name if feed else None

    assert name() == "binance"
    world.poll(REFUSE)
    assert name() == "kraken"
    world.poll(REFUSE, REFUSE, REFUSE)
    assert name() is None


def test_when_nobody_may_be_asked_a_record_says_so(world: World) -> None:
    world.poll(REFUSE, REFUSE, REFUSE)
    result = world.poll(None, None, None)
    assert world.asked() == [1, 1, 1]
    assert (result.poll.outcome, result.poll.endpoint, result.poll.served) == (
        "transient",
        "none",
        0,
    )
    for venue in world.venues:
        assert f"{venue.name} is left alone until" in str(result.poll.reason)


def test_a_minute_that_nobody_was_asked_for_is_owed(world: World) -> None:
    """Or the ledger would not know of it; a venue without candles owes none."""
    for venue in world.venues[:1]:
        venue.candle_page = 1_000
    world.poll(REFUSE, REFUSE, REFUSE)
    assert world.poll().poll.candles_due == ("BTC-USDT",)
    world.venues[0].candle_page = 0
    assert world.poll().poll.candles_due == ()


def test_a_late_venue_is_not_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover, "LAST_START_SECONDS", -1.0)
    result = world.poll(FAIL)
    assert (result.poll.venue, world.asked()) == ("binance", [1, 0, 0])


def test_marks_belong_to_a_source(world: World) -> None:
    """What one venue showed is news when another shows it."""
    world.marks = {name: {"BTC-USDT": "90210"} for name in ("live:binance", "live:coinbase")}
    world.marks["live:kraken"] = {}
    assert [tick.is_unchanged for tick in world.poll().ticks] == [True]
    assert [tick.is_unchanged for tick in world.poll(FAIL).ticks] == [False]
