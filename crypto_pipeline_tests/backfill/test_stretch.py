"""A stretch is asked for until it is answered, and published with its record after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from crypto_pipeline.backfill.job import Job
from crypto_pipeline.backfill.stretch import MINUTE, Stretch, StretchFetch
from crypto_pipeline.errors import (
    BrokerAwayError,
    MarketError,
    PermanentMarketError,
    RequestRefusedError,
    TransientMarketError,
)
from crypto_pipeline.source.breaker import Breaker
from crypto_pipeline.source.failover import Feed
from crypto_pipeline.source.venue import Fetched
from crypto_pipeline_tests.stream.fakes import START, FakeClock, FakeVenue, ListPublisher

BTC, ETH = "BTC-USDT", "ETH-USDT"
HOUR = Stretch(symbols=(BTC, ETH), start=START - 60 * MINUTE, end=START)


@dataclass(slots=True)
class ShakyVenue(FakeVenue):
    """Fails as the script of a symbol says, then answers."""

    script: dict[str, list[MarketError]] = field(default_factory=dict)

    def fetch_candles(self, symbol: str, start: datetime, end: datetime) -> Fetched:
        if self.script.get(symbol):
            raise self.script[symbol].pop(0)
        return FakeVenue.fetch_candles(self, symbol, start, end)


@dataclass
class World:
    folder: Path
    venue: ShakyVenue = field(default_factory=ShakyVenue)
    publisher: ListPublisher = field(default_factory=ListPublisher)
    slept: list[float] = field(default_factory=list)

    @property
    def fetch(self) -> StretchFetch:
        return StretchFetch(
            feed=Feed(venue=self.venue, source="s", breaker=Breaker("v", self.folder / "b.json")),
            market="simulated",
            clock=FakeClock(),
            publisher=self.publisher,
            purpose="repair",
            sleep=self.slept.append,
        )

    def polls(self) -> list[dict[str, object]]:
        return self.publisher.payloads("market.polls")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(folder=tmp_path)


def test_a_stretch_is_its_candles_and_then_its_record(world: World) -> None:
    taken = world.fetch.take(HOUR)
    assert (taken.candles, taken.missed, world.slept) == (120, (), [])
    topics = [message.topic for message in world.publisher.log]
    assert topics == ["market.candles"] * 120 + ["market.polls"]
    (poll,) = world.polls()
    assert (poll["purpose"], poll["outcome"]) == ("repair", "ok")
    assert str(poll["poll_at"])[:16] == "2026-11-23T09:05"
    assert str(poll["until_at"])[:16] == "2026-11-23T10:05"
    assert all(c["is_backfill"] for c in world.publisher.payloads("market.candles"))


def test_only_what_got_no_answer_is_asked_for_again(world: World) -> None:
    world.venue.script = {ETH: [TransientMarketError("cut off")]}
    taken = world.fetch.take(HOUR)
    assert (taken.candles, taken.missed, world.slept) == (120, (), [1.0])
    assert [poll["symbols_asked"] for poll in world.polls()] == [[BTC, ETH], [ETH]]
    assert [poll["candles_missed"] for poll in world.polls()] == [[ETH], []]


def test_what_never_gets_an_answer_is_named(world: World) -> None:
    world.venue.script = {ETH: [TransientMarketError("cut off")] * 3}
    taken = world.fetch.take(HOUR)
    assert (taken.candles, taken.missed, world.slept) == (60, (ETH,), [1.0, 5.0])
    assert "cut off" in str(taken.reason)


def test_a_symbol_that_the_venue_refuses_does_not_close_the_venue(world: World) -> None:
    world.venue.script = {ETH: [RequestRefusedError("Invalid symbol.", code="-1121")]}
    taken = world.fetch.take(Stretch(symbols=(ETH,), start=HOUR.start, end=HOUR.end))
    assert (taken.candles, taken.missed) == (0, ())
    assert "Invalid symbol" in str(taken.reason)
    assert world.fetch.take(HOUR).candles == 120


def test_a_venue_that_refuses_for_good_is_left_alone(world: World) -> None:
    refused = PermanentMarketError("451: not in your country")
    world.venue.script = {BTC: [refused], ETH: [refused]}
    with pytest.raises(PermanentMarketError, match="451"):
        world.fetch.take(HOUR)
    with pytest.raises(TransientMarketError, match="left alone until"):
        world.fetch.take(HOUR)
    assert [poll["outcome"] for poll in world.polls()] == ["permanent"]


def run(job: Job, fetch: StretchFetch) -> None:
    for part in job.left():
        if not fetch.take(part).missed:
            job.note_done(part)


def job_of(folder: Path, *, days: int, symbols: int = 1) -> Job:
    names = tuple(f"C{n:02}-USDT" for n in range(symbols))
    end = START + MINUTE * 1440 * days
    return Job(folder=folder, source="s", symbols=names, start=START, end=end)


def test_a_job_is_cut_at_midnight_and_into_groups(tmp_path: Path) -> None:
    parts = job_of(tmp_path, days=2, symbols=12).parts()
    assert [(len(p.symbols), p.start.hour, p.end.hour) for p in parts] == [
        *((10, 10, 0), (2, 10, 0)),
        *((10, 0, 0), (2, 0, 0)),
        *((10, 0, 10), (2, 0, 10)),
    ]
    assert sum(part.minutes for part in parts) == 12 * 2 * 1440


@pytest.mark.parametrize("at", ["before publish", "after publish"])
@pytest.mark.parametrize("call", [1, 2, 3, 4, 6])
def test_a_job_that_was_stopped_anywhere_goes_on(
    world: World, tmp_path: Path, at: str, call: int
) -> None:
    world.publisher.kill = killer(at, call)
    job = job_of(tmp_path / "jobs", days=2)
    with pytest.raises(BrokerAwayError):
        run(job, world.fetch)
    sent = len(world.publisher.payloads("market.candles"))
    world.publisher.kill = lambda step: None
    done = len(job.done())
    run(job, world.fetch)
    assert job.left() == ()
    ids = [candle["id"] for candle in world.publisher.payloads("market.candles")]
    assert len(set(ids)) == len({c["open_at"] for c in world.publisher.payloads("market.candles")})
    assert len(set(ids)) == 2 * 1440
    # Only the part that was under way is sent once more.
    assert len(ids) - len(set(ids)) <= 1440
    assert sent >= done


def killer(at: str, call: int) -> Callable[[str], None]:
    calls = {"before publish": 0, "after publish": 0}

    def kill(step: str) -> None:
        calls[step] += 1
        if step == at and calls[step] == call:
            raise BrokerAwayError("Kafka does not answer.")

    return kill


def test_a_job_that_was_finished_starts_again(tmp_path: Path) -> None:
    job = job_of(tmp_path, days=1)
    for part in job.parts():
        job.note_done(part)
    assert job.left() == ()
    job.finish()
    assert job.left() == job.parts()
    assert list(tmp_path.iterdir()) == []
