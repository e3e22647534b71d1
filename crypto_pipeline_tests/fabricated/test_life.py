"""A life of weeks without its files: what is compacted, removed, forgotten by the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from crypto_pipeline.gold.schema import MARKET_SUMMARY
from crypto_pipeline.keeping_settings import LAYER_DAYS
from crypto_pipeline.lake.removed import REMOVED_PROPERTY
from crypto_pipeline.maintenance.table_files import VACUUMED_PROPERTY
from crypto_pipeline.maintenance.work import CURRENT_FILES_DUE, PAST_FILES, Limits
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.silver.schema import GAPS, TICKS
from crypto_pipeline_tests.fabricated.history import history, no_topics
from crypto_pipeline_tests.fabricated.laid_log import cleaned, is_checkpoint, states
from crypto_pipeline_tests.fabricated.life import DEAD_DAYS, LOG_DAYS, Life
from crypto_pipeline_tests.fabricated.shapes import shapes
from crypto_pipeline_tests.fabricated.sizes import Sizes
from crypto_pipeline_tests.fabricated.upkeep import Upkeep

NOW = datetime(2026, 11, 26, 18, 45, tzinfo=UTC)
DAYS = 7
MINUTES = DAYS * 1_440


class AnySize(Sizes):
    def of(self, key: str, topic: str, minutes: int) -> int:
        return 10_000 + 500 * minutes


def lived(key: str, *, minutes: int = MINUTES, days: dict[str, int] = LAYER_DAYS) -> Life:
    laid = history(minutes=minutes, symbols=20, ends=no_topics(), now=NOW)
    shape = next(shape for shape in shapes(laid) if shape.table.key == key)
    life = Life(shape=shape, sizes=AnySize(known={}), limits=Limits(days=days))
    life.create(at=laid.committed_ms(shape.stage, 1) - 2_000)
    upkeep = Upkeep(life=life, made_on=laid.market.poll_at(1).date())
    for number in range(1, minutes + 1):
        if shape.parts:
            life.write(number)
        upkeep.look(number)
    return life


def test_past_dates_are_compact_and_today_is_bounded() -> None:
    life = lived(TICKS.key)
    counts = {dict(values)["date"]: len(files) for values, files in life.files.items()}
    today = counts.pop(f"{NOW.date()}")
    assert len(counts) == DAYS
    assert set(counts.values()) == {1}
    assert 1 < today < CURRENT_FILES_DUE
    # 1 and then 29 more are due: a compaction each 29 minutes, and one after each midnight.
    compactions = MINUTES / 29 + DAYS
    assert life.version == pytest.approx(MINUTES + compactions + 3 * (DAYS - 1), rel=0.002)


def test_every_minute_is_in_exactly_one_file() -> None:
    life = lived(RECORDS.key)
    for topic in {part.topic for part in life.shape.parts}:
        own = sorted((f.first, f.last) for f in life.all_files() if f.topic == topic)
        assert own[0][0] == 1
        assert own[-1][1] == MINUTES
        assert all(b[0] == a[1] + 1 for a, b in pairwise(own))
    dates = {dict(values)["date"] for values in life.files}
    counts = [sum(len(f) for v, f in life.files.items() if v[0][1] == day) for day in dates]
    assert sorted(counts)[:-1] == [3] * DAYS
    assert max(counts) <= CURRENT_FILES_DUE + PAST_FILES


def test_dates_past_the_days_of_the_layer_are_gone() -> None:
    life = lived(TICKS.key, days={"silver": 3})
    kept = sorted(dict(values)["date"] for values in life.files)
    assert kept == [f"{NOW.date() - timedelta(days=n)}" for n in (3, 2, 1, 0)]
    assert life.noted[REMOVED_PROPERTY] == kept[0]


def test_a_table_about_now_has_one_file_and_names_those_of_two_days() -> None:
    life = lived(MARKET_SUMMARY.key)
    assert len(life.all_files()) == 1
    last = life.entries[-1].at
    named = [f for f in life.dead if (f.removed_at or 0) > last - DEAD_DAYS.total_seconds() * 1000]
    assert len(named) == pytest.approx(2_880, abs=2)


def test_the_log_reaches_back_to_a_checkpoint_before_the_days_that_it_keeps() -> None:
    life = lived(TICKS.key)
    kept = cleaned(life.entries)
    assert is_checkpoint(kept[0])
    first = datetime.fromtimestamp(kept[0].at / 1000, UTC)
    assert first.date() == NOW.date() - LOG_DAYS - timedelta(days=1)
    assert first.hour == 23
    assert [e.version for e in kept] == list(range(kept[0].version, life.version + 1))


def test_the_files_of_each_version_add_up() -> None:
    life = lived(TICKS.key)
    for entry, files in states(life):
        assert sum(file.rows for file in files) == 20 * entry.number


def test_an_empty_table_is_vacuumed_each_day_and_keeps_its_first_version() -> None:
    life = lived(GAPS.key)
    assert life.version == 3 * DAYS
    assert cleaned(life.entries)[0].version == 0
    assert life.noted[VACUUMED_PROPERTY] == f"{NOW.date()}"
