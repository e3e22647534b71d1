from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from crypto_pipeline.contract.message import format_time
from crypto_pipeline.errors import BrokerAwayError, SpoolFullError, StreamError
from crypto_pipeline.settings import Settings
from crypto_pipeline.stream import deliver as deliver_module
from crypto_pipeline.stream import ingest as ingest_module
from crypto_pipeline.stream.ingest import IngestReport, ensure_history, ingest, ingest_minute
from crypto_pipeline.stream.marks import MarkFile, note_published
from crypto_pipeline.stream.spool import Spool
from crypto_pipeline_tests.stream.fakes import (
    MINUTE,
    START,
    FakeClock,
    FakeVenue,
    Killed,
    ListPublisher,
    settings_for,
)

Step = Callable[..., object]
T = TypeVar("T")


@dataclass(slots=True)
class World:
    """A market, a broker and a folder that outlive the processes that run in between."""

    settings: Settings
    clock: FakeClock = field(default_factory=FakeClock)
    venue: FakeVenue = field(default_factory=FakeVenue)
    publisher: ListPublisher = field(default_factory=ListPublisher)
    limit_bytes: int = 1 << 20

    def spool(self) -> Spool:
        return Spool(self.settings.home / "spool", limit_bytes=self.limit_bytes)

    def minute(self) -> IngestReport:
        return self.call(ingest_minute)

    def call(self, step: Callable[..., T]) -> T:
        with self.spool() as spool:
            return step(
                self.settings,
                venue=self.venue,
                clock=self.clock,
                publisher=self.publisher,
                spool=spool,
            )

    def ticks(self) -> list[tuple[str, str]]:
        """First occurrences of ticks, as (minute, symbol)."""
        found = [(p["poll_at"], p["symbol"]) for p in self.publisher.payloads("market.ticks")]
        return list(dict.fromkeys(found))

    def waiting(self) -> int:
        with self.spool() as spool:
            return len(spool.pending())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(settings_for(tmp_path))


def test_a_minute_goes_out_with_its_record_last(world: World) -> None:
    report = world.minute()
    topics = [message.topic for message in world.publisher.log]
    assert topics == ["market.ticks"] * 2 + ["market.candles"] * 2 + ["market.polls"]
    assert (report.ticks, report.candles, report.rejected) == (2, 2, 0)
    assert (report.delivered, report.spooled, report.outcome) == (1, 0, "ok")
    assert set(report.offsets) == {"market.ticks", "market.candles", "market.polls"}
    assert world.waiting() == 0


def test_the_same_minute_is_not_polled_twice(world: World) -> None:
    world.minute()
    world.clock.time += timedelta(seconds=20)
    report = world.minute()
    assert report.is_skipped
    assert report.reason == "this minute was polled before"
    assert world.venue.polls == 1
    assert len(world.ticks()) == 2


def test_marks_of_one_poll_flag_the_next(world: World) -> None:
    assert world.minute().unchanged == 0
    world.clock.time += MINUTE
    assert world.minute().unchanged == 2


def test_the_poll_waits_for_its_delay(world: World, tmp_path: Path) -> None:
    world.settings = settings_for(tmp_path, POLL_DELAY_SECONDS="5")
    world.minute()
    assert world.clock.slept == [3.0]


def test_broker_away_and_back_loses_nothing_and_keeps_the_order(world: World) -> None:
    world.publisher.is_away = True
    for minute in range(3):
        with pytest.raises(BrokerAwayError, match=rf"{minute + 1} polls wait in .* 10:05 UTC"):
            world.minute()
        world.clock.time += MINUTE
    assert world.publisher.log == []
    world.publisher.is_away = False
    report = world.minute()
    assert (report.delivered, report.spooled) == (4, 0)
    minutes = [format_time(START + MINUTE * n) for n in range(4)]
    assert world.ticks() == [(at, s) for at in minutes for s in ("BTC-USDT", "ETH-USDT")]
    topics = [message.topic for message in world.publisher.log]
    assert topics == (["market.ticks"] * 2 + ["market.candles"] * 2 + ["market.polls"]) * 4
    # Polls that waited were still compared with the poll before them.
    flags = [tick["is_unchanged"] for tick in world.publisher.payloads("market.ticks")]
    assert flags == [False] * 2 + [True] * 6


def test_a_minute_that_waits_is_sent_and_not_polled_again(world: World) -> None:
    world.publisher.is_away = True
    with pytest.raises(BrokerAwayError):
        world.minute()
    world.publisher.is_away = False
    report = world.minute()
    assert (report.is_skipped, report.delivered, world.venue.polls) == (True, 1, 1)


def test_a_full_spool_is_emptied_first_when_the_broker_is_back(world: World) -> None:
    world.publisher.is_away = True
    with pytest.raises(BrokerAwayError):
        world.minute()
    with world.spool() as spool:
        world.limit_bytes = spool.used_bytes() * 3 // 2
    world.clock.time += MINUTE
    with pytest.raises(SpoolFullError, match="10:06 UTC with 4 messages is NOT stored"):
        world.minute()
    world.clock.time += MINUTE
    world.publisher.is_away = False
    assert world.minute().delivered == 1
    minutes = [at for at, symbol in world.ticks() if symbol == "BTC-USDT"]
    assert minutes == [format_time(START), format_time(START + MINUTE * 2)]


def test_a_history_that_no_spool_holds_does_not_keep_the_minute_back(tmp_path: Path) -> None:
    world = World(settings_for(tmp_path, HISTORY_HOURS="48"), limit_bytes=20_000)
    report = world.call(ingest)
    assert (report.history_candles, report.ticks, report.delivered) == (0, 2, 1)
    assert world.waiting() == 0


def test_a_torn_poll_is_said_and_its_good_records_go_out(world: World) -> None:
    world.publisher.is_away = True
    with pytest.raises(BrokerAwayError):
        world.minute()
    world.publisher.is_away = False
    with world.spool() as spool:
        path = spool.pending()[0].path
        path.write_bytes(path.read_bytes()[:-1])
    world.clock.time += MINUTE
    report = world.minute()
    assert len(report.torn) == 1
    assert "4 of 5 records are kept" in report.torn[0]
    assert len(world.ticks()) == 4
    assert [p["poll_at"] for p in world.publisher.payloads("market.polls")] == [
        format_time(START + MINUTE)
    ]


def die_around(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, *, before: bool) -> None:
    original: Step = getattr(owner, name)

    def step(*args: object, **options: object) -> object:
        if before:
            raise Killed(name)
        original(*args, **options)
        raise Killed(name)

    monkeypatch.setattr(owner, name, step)


STEPS = [
    (ingest_module, "poll_in_turn"),
    (Spool, "append"),
    (MarkFile, "store_marks"),
    (Spool, "read"),
    (deliver_module, "note_published"),
    (Spool, "trim"),
]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "name"), STEPS, ids=[name for _, name in STEPS])
def test_a_kill_around_any_step_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, *, before: bool
) -> None:
    with monkeypatch.context() as patched:
        die_around(patched, owner, name, before=before)
        with pytest.raises(Killed):
            world.minute()
    assert_whole_after_rerun(world)


@pytest.mark.parametrize("call", range(4))
def test_a_kill_around_any_publish_loses_nothing(world: World, call: int) -> None:
    calls: list[str] = []

    def kill(step: str) -> None:
        calls.append(step)
        if len(calls) == call + 1:
            raise Killed(step)

    world.publisher.kill = kill
    with pytest.raises(Killed):
        world.minute()
    assert_whole_after_rerun(world)


def assert_whole_after_rerun(world: World) -> None:
    world.clock.time += timedelta(seconds=10)
    world.minute()
    world.clock.time += MINUTE
    world.minute()
    minutes = [format_time(START), format_time(START + MINUTE)]
    assert world.ticks() == [(at, s) for at in minutes for s in ("BTC-USDT", "ETH-USDT")]
    polls = [poll["poll_at"] for poll in world.publisher.payloads("market.polls")]
    assert list(dict.fromkeys(polls)) == minutes
    assert world.waiting() == 0
    # One id never has two contents: repeats are the same bytes.
    ticks = {m.value for m in world.publisher.log if m.topic == "market.ticks"}
    assert len(ticks) == 4


def test_history_is_fetched_once_a_source(world: World, tmp_path: Path) -> None:
    assert world.call(ensure_history) == 120
    assert world.call(ensure_history) == 0
    candles = world.publisher.payloads("market.candles")
    assert len(candles) == 120
    assert all(candle["is_backfill"] for candle in candles)
    (poll,) = world.publisher.payloads("market.polls")
    assert (poll["purpose"], poll["candles"], poll["outcome"]) == ("history", 120, "ok")
    world.settings = settings_for(tmp_path, SIMULATOR_SEED="8")
    assert world.call(ensure_history) == 120


def test_no_history_is_asked_for_with_zero_hours(world: World, tmp_path: Path) -> None:
    world.settings = settings_for(tmp_path, HISTORY_HOURS="0")
    assert world.call(ensure_history) == 0
    assert world.publisher.log == []


def test_history_that_waits_in_the_spool_is_not_fetched_again(world: World) -> None:
    world.publisher.is_away = True
    with pytest.raises(BrokerAwayError):
        world.call(ingest)
    assert world.waiting() == 2
    world.publisher.is_away = False
    report = world.call(ingest)
    assert (report.is_skipped, report.history_candles) == (True, 0)
    assert len(world.publisher.payloads("market.candles")) == 122
    purposes = [poll["purpose"] for poll in world.publisher.payloads("market.polls")]
    assert purposes == ["history", "minute"]


def test_a_history_that_failed_is_tried_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    poll = {
        "purpose": "history",
        "source": "s",
        "poll_at": format_time(START),
        "symbols_asked": ["BTC-USDT", "ETH-USDT"],
        "candles_missed": ["ETH-USDT"],
    }
    note_published(folder, {**poll, "outcome": "transient"})
    assert not MarkFile(folder, "s").with_history()
    note_published(folder, {**poll, "outcome": "partial"})
    assert MarkFile(folder, "s").with_history() == {"BTC-USDT"}


def test_a_symbol_that_joins_the_watch_list_gets_its_own_history(world: World) -> None:
    world.settings = replace(world.settings, symbols=("BTC-USDT",))
    world.call(ingest)
    world.clock.time += MINUTE
    world.settings = replace(world.settings, symbols=("BTC-USDT", "ETH-USDT"))
    assert world.call(ingest).history_candles == 60
    asked = [
        poll["symbols_asked"]
        for poll in world.publisher.payloads("market.polls")
        if poll["purpose"] == "history"
    ]
    assert asked == [["BTC-USDT"], ["ETH-USDT"]]


def test_a_spoilt_memory_is_a_sentence(world: World) -> None:
    world.minute()
    (path,) = (world.settings.home / "spool").glob("marks-*.json")
    path.write_text("{")
    with pytest.raises(StreamError, match="Remove it"):
        world.minute()
