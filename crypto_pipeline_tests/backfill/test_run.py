"""What may be asked for, and what the command says when it may not."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from crypto_pipeline.backfill import run
from crypto_pipeline.backfill.command import parse_moment
from crypto_pipeline.backfill.job import Job
from crypto_pipeline.errors import SettingsError
from crypto_pipeline_tests.stream.fakes import START, FakeClock, settings_for


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
