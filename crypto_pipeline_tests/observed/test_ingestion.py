"""Ingestion seen from outside: real polls into real files, looked at by the process beside them."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crypto_pipeline.contract.message import format_time
from crypto_pipeline.contract.poll import Rejected
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.errors import BrokerAwayError, SpoolFullError
from crypto_pipeline.observed.ingestion import ACK_SECONDS, POLL_SECONDS, Ingestion
from crypto_pipeline.observed.ledger import Tally
from crypto_pipeline.settings import Settings
from crypto_pipeline.source.venue import Origin
from crypto_pipeline.source.venues import breaker_for, budget_for
from crypto_pipeline.stream.ingest import IngestReport, ensure_history, ingest_minute
from crypto_pipeline.stream.spool import Spool
from crypto_pipeline_tests.observed.pages import values
from crypto_pipeline_tests.stream.fakes import (
    MINUTE,
    START,
    FakeClock,
    FakeVenue,
    ListPublisher,
    settings_for,
)

# Two polls of so many symbols fit into a spool of 1 MB, three do not.
MANY = ",".join(f"C{number}-USDT" for number in range(350))
SECRETS = {"COINGECKO_API_KEY": "CG-secret", "AWS_SECRET_ACCESS_KEY": "aws-secret"}


@dataclass(slots=True)
class World:
    """A market, a broker and a folder; each poll is counted by a process of its own."""

    settings: Settings
    clock: FakeClock = field(default_factory=FakeClock)
    real: FakeClock = field(default_factory=lambda: FakeClock(datetime.now(UTC)))
    venue: FakeVenue = field(default_factory=FakeVenue)
    others: tuple[FakeVenue, ...] = ()
    publisher: ListPublisher = field(default_factory=ListPublisher)

    def minute(self) -> IngestReport:
        tally = Tally.open(self.settings)
        try:
            with Spool.open(self.settings) as spool:
                return ingest_minute(
                    self.settings,
                    venue=self.venue,
                    others=self.others,
                    clock=self.clock,
                    publisher=self.publisher,
                    spool=spool,
                    tally=tally,
                )
        finally:
            self.clock.time += MINUTE
            tally.save()

    def seen(self) -> Ingestion:
        self.settings.home.mkdir(parents=True, exist_ok=True)
        return Ingestion(self.settings, clock=self.real)

    def numbers(self) -> dict[str, float]:
        return values(self.seen().page().decode())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(settings_for(tmp_path))


def test_a_minute_is_counted_from_the_poll_to_the_acknowledgement(world: World) -> None:
    world.minute()
    world.minute()
    found = world.numbers()
    assert found["polls_total ok minute binance"] == 2
    assert (found["ticks_total binance"], found["candles_total binance"]) == (4, 4)
    for topic, count in {"ticks": 4, "candles": 4, "polls": 2}.items():
        assert found[f"messages_spooled_total market.{topic}"] == count
        assert found[f"messages_published_total market.{topic}"] == count
    assert found["publish_lag_seconds_count"] == 2
    assert found["spool_polls"] == found["spool_messages"] == found["spool_oldest_age_seconds"] == 0
    assert 0 <= found["last_ack_age_seconds"] < 60
    assert 0 <= found["last_good_poll_age_seconds"] < 60
    assert found["polls_lost_total"] == found["spool_full"] == 0
    assert world.seen().health().problems == ()


def test_what_waits_for_the_broker_is_seen(world: World) -> None:
    world.publisher.is_away = True
    for _ in range(3):
        with pytest.raises(BrokerAwayError):
            world.minute()
    found = world.numbers()
    assert (found["spool_polls"], found["spool_messages"]) == (3, 15)
    assert found["messages_spooled_total market.ticks"] == 6
    assert "messages_published_total market.ticks" not in found
    assert found["spool_bytes"] > 1_000
    assert found["spool_limit_bytes"] == 512 * 1024 * 1024
    facts = world.seen().health().content()
    assert facts["spool"]["oldest_poll_at"] == START.isoformat()


def test_a_full_spool_stops_alarms_and_says_what_is_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(settings_for(tmp_path, SPOOL_LIMIT_MB="1", SYMBOLS=MANY))
    world.publisher.is_away = True
    with pytest.raises(BrokerAwayError):
        world.minute()
    kept = 1
    while world.numbers()["spool_bytes"] * (kept + 1) / kept < 1 << 20:
        with pytest.raises(BrokerAwayError):
            world.minute()
        kept += 1
    messages, lost = world.numbers()["spool_messages"], START + kept * MINUTE
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(SpoolFullError, match=f"{lost:%H:%M} UTC with 700 messages is NOT stored"),
    ):
        world.minute()
    assert "NOT stored and will be missing" in caplog.text

    found, health = world.numbers(), world.seen().health()
    assert (found["spool_full"], found["polls_lost_total"], found["spool_polls"]) == (1, 1, kept)
    assert found["spool_messages"] == messages
    assert health.status == 503
    assert "The spool refused the newest poll" in health.problems[0]
    assert "raise SPOOL_LIMIT_MB" in health.problems[0]
    missing = {"minutes": 1, "newest": [format_time(lost)]}
    assert health.content()["missing"] == missing

    world.publisher.is_away = False
    assert world.minute().delivered >= 1
    found, health = world.numbers(), world.seen().health()
    assert (found["spool_full"], found["spool_polls"], found["polls_lost_total"]) == (0, 0, 1)
    assert health.status == 200
    assert health.content()["missing"] == missing
    polled = {poll["poll_at"] for poll in world.publisher.payloads("market.polls")}
    assert polled == {format_time(START + n * MINUTE) for n in range(kept + 2) if n != kept}


def test_history_that_does_not_fit_alarms_and_no_minute_is_missing(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, SPOOL_LIMIT_MB="1", HISTORY_HOURS="168")
    world, tally = World(settings), Tally.open(settings)
    with Spool.open(settings) as spool, pytest.raises(SpoolFullError):
        ensure_history(
            settings,
            venue=world.venue,
            clock=world.clock,
            publisher=world.publisher,
            spool=spool,
            tally=tally,
        )
    found = world.numbers()
    assert (found["spool_full"], found["polls_lost_total"]) == (1, 0)
    assert found["polls_total ok history binance"] == 1
    assert world.seen().health().status == 503


def test_a_schedule_that_stands_still_is_told_from_venues_that_give_nothing(world: World) -> None:
    world.minute()
    seen = world.seen()
    world.real.time += timedelta(seconds=POLL_SECONDS - 1)
    assert seen.health().problems == ()
    world.real.time += timedelta(seconds=2)
    assert "no poll runs: look at the schedule" in seen.health().problems[0]
    tally = Tally.open(world.settings)
    tally.book.moments["crypto_pipeline_last_poll_age_seconds"] = world.real.now().timestamp()
    tally.save()
    (problem,) = seen.health().problems
    assert "look at the venues below" in problem
    assert seen.health().status == 503


def test_a_broker_that_acknowledges_nothing_is_named_with_what_waits(world: World) -> None:
    seen = world.seen()
    world.real.time += timedelta(seconds=ACK_SECONDS + 1)
    _, problem = seen.health().problems
    assert "Kafka at 127.0.0.1:9092 has acknowledged nothing for 301 s" in problem


def test_before_the_first_poll_and_after_a_night_there_is_time_to_begin(world: World) -> None:
    assert world.seen().health().problems == ()
    world.minute()
    world.real.time += timedelta(hours=9)
    assert world.seen().health().problems == ()


def test_a_venue_that_stands_in_is_counted(world: World) -> None:
    other = FakeVenue(name="kraken")
    breaker = breaker_for(world.settings, "binance")
    now = datetime.now(UTC)
    breaker.note("permanent", reason="451 at http://user:secret@venue", now=now)
    world.others = (other,)
    world.minute()
    found = world.numbers()
    assert found["failovers_total kraken"] == 1
    assert (found["breaker_open binance"], found["breaker_open kraken"]) == (1, 0)
    assert found["breaker_failures permanent binance"] == 1
    states = world.seen().health().content()["venues"]
    assert states["binance"].startswith("left alone until")
    assert states["kraken"] == "may be asked"


class SpoiltVenue(FakeVenue):
    """Of each snapshot one row breaks a rule, and another breaks one that nobody declared."""

    def parse_snapshot(
        self, body: str, *, origin: Origin, symbols: Sequence[str]
    ) -> tuple[list[Tick], list[Rejected]]:
        ticks, _ = FakeVenue.parse_snapshot(self, body, origin=origin, symbols=symbols)
        return ticks, [origin.reject(why, "", body) for why in ("crossed", "BTC-USDT is odd")]


def test_rejected_rows_are_counted_by_the_rule(world: World) -> None:
    world.venue = SpoiltVenue()
    world.minute()
    found = world.numbers()
    assert found["rejected_total crossed binance"] == found["rejected_total other binance"] == 1
    assert found["polls_total partial minute binance"] == 1
    assert found["messages_published_total market.rejected"] == 2


def test_budgets_are_seen_as_they_are_spent(world: World) -> None:
    clock = world.real
    budget_for(world.settings, "binance", real=clock).take(40)
    budget_for(world.settings, "coinbase", real=clock).take()
    budget_for(world.settings, "kraken", real=clock).told_to_wait(600)
    binance = budget_for(world.settings, "binance", real=clock).levels()
    assert [(one.window, one.used, one.limit) for one in binance] == [("60", 40, 4800)]
    (pace,) = budget_for(world.settings, "coinbase", real=clock).levels()
    assert (pace.window, round(pace.used, 3), pace.limit) == ("pace", 1.0, 5)
    found = world.numbers()
    assert found["budget_limit binance 60"] == 4800
    assert 590 < found["venue_wait_seconds kraken"] <= 600
    assert found["venue_wait_seconds binance"] == 0


def test_no_secret_and_no_symbol_is_shown(tmp_path: Path) -> None:
    world = World(settings_for(tmp_path, **SECRETS))
    breaker = breaker_for(world.settings, "binance")
    breaker.note("permanent", reason="451 at http://user:secret@venue", now=datetime.now(UTC))
    world.others = (FakeVenue(name="kraken"),)
    world.minute()
    shown = world.seen().page().decode() + json.dumps(world.seen().health().content())
    assert "secret" not in shown
    assert "BTC" not in shown
    assert "venue_wait_seconds coingecko" in values(world.seen().page().decode())
