"""What may be asked for, and what the command says when it may not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crypto_pipeline.backfill import run
from crypto_pipeline.backfill.command import parse_moment
from crypto_pipeline.backfill.job import Job
from crypto_pipeline.backfill.ledger import Missing
from crypto_pipeline.backfill.stretch import Stretch, Taken
from crypto_pipeline.errors import MarketError, PermanentMarketError, SettingsError
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.stream.fakes import MINUTE, START, FakeClock, FakeVenue, settings_for


def planned(folder: Path, start: datetime, end: datetime, venue: str = "binance") -> Job:
    return run.plan(
        settings_for(folder),
        symbols=("BTC-USDT",),
        start=start,
        end=end,
        venue=venue,
        clock=FakeClock(),
    )


def test_the_minute_that_runs_is_not_asked_for(tmp_path: Path) -> None:
    job = planned(tmp_path, START - timedelta(hours=1), START + timedelta(days=1))
    assert (job.start, job.end) == (START - timedelta(hours=1), START)
    assert job.source == "simulator:binance:7"


def test_a_range_without_a_closed_minute_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no closed minute from 2026-11-23 10:05"):
        planned(tmp_path, START, START + timedelta(hours=1))


def test_what_a_venue_serves_no_more_is_a_sentence(tmp_path: Path) -> None:
    oldest = START - timedelta(minutes=719)
    assert planned(tmp_path, oldest, START, "kraken").start == oldest
    with pytest.raises(SettingsError, match="kraken serves no candle before 2026-11-22 22:06"):
        planned(tmp_path, oldest - timedelta(minutes=1), START, "kraken")


def test_a_whole_venue_names_no_symbols(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="needs symbols"):
        run.plan(
            settings_for(tmp_path, SYMBOLS="all"),
            symbols=(),
            start=START - timedelta(hours=1),
            end=START,
            clock=FakeClock(),
        )


def test_a_lake_without_a_ledger_has_nothing_to_repair(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, MARKET="live")
    assert run.days_to_repair(settings, now=START) == []
    assert run.repair_day(settings, date(2026, 11, 23), now=START) == run.Report()


@dataclass
class FakeFetch:
    """A venue that gives what it is asked for, or raises what it has to."""

    asked: list[Stretch] = field(default_factory=list)
    error: MarketError | None = None
    feed: Any = field(default_factory=lambda: SimpleNamespace(venue=FakeVenue()))
    clock: FakeClock = field(default_factory=FakeClock)

    def take(self, stretch: Stretch) -> Taken:
        if self.error is not None:
            raise self.error
        self.asked.append(stretch)
        return Taken(candles=stretch.minutes)


@pytest.fixture
def venues(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeFetch]:
    """By their sources; each owes ten minutes of 25 symbols."""
    found = {name: FakeFetch() for name in ("binance", "kraken", "coinbase")}
    missing = [
        Missing(source=source, symbol=f"C{n:02}-USDT", minute_at=START - k * MINUTE, due_at=START)
        for source in found
        for n in range(25)
        for k in range(1, 11)
    ]

    @contextmanager
    def open_fetch(settings: Settings, *, source: str, purpose: str) -> Iterator[FakeFetch]:
        assert purpose == "repair"
        yield found[source]

    monkeypatch.setattr(run, "_missing", lambda *_, **__: missing)
    monkeypatch.setattr(run, "open_fetch", open_fetch)
    return found


def test_a_venue_that_refuses_does_not_keep_the_others_from_being_asked(
    venues: dict[str, FakeFetch], tmp_path: Path
) -> None:
    venues["binance"].error = PermanentMarketError("451: not in your country")
    report = run.repair_day(settings_for(tmp_path, MARKET="live"), START.date(), now=START)
    assert report.left == ["binance: 451: not in your country"]
    assert report.candles == 2 * 250


def test_a_repair_of_many_symbols_is_done_some_at_a_time(
    venues: dict[str, FakeFetch], tmp_path: Path
) -> None:
    """As a backfill: all of a whole venue's night would not fit into memory."""
    report = run.repair_day(settings_for(tmp_path, MARKET="live"), START.date(), now=START)
    assert [len(one.symbols) for one in venues["kraken"].asked] == [10, 10, 5]
    assert (report.parts, report.minutes, report.left) == (9, 750, [])


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026-11-23T10:05", datetime(2026, 11, 23, 10, 5, tzinfo=UTC)),
        ("2026-11-23T10:05+02:00", datetime(2026, 11, 23, 8, 5, tzinfo=UTC)),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text: str, moment: datetime) -> None:
    assert parse_moment(text) == moment


@pytest.mark.parametrize(
    ("text", "words"), [("yesterday", "is no time"), ("2026-11-23T10:05:07", "not a whole minute")]
)
def test_a_time_that_cannot_be_meant_is_a_sentence(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        parse_moment(text)
