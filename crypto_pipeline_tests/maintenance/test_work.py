"""What is due, from counts and times alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_pipeline.bronze.schema import TICKS as BRONZE_TICKS
from crypto_pipeline.gold.schema import CANDLES_1M, MARKET_SUMMARY
from crypto_pipeline.lake.location import ENGINE_PROPERTY
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.lake.table import Table
from crypto_pipeline.maintenance.bite import Bite
from crypto_pipeline.maintenance.lake_upkeep import counted, limits_of
from crypto_pipeline.maintenance.perform import Done
from crypto_pipeline.maintenance.table_files import LogFolder, Partition, TableFiles
from crypto_pipeline.maintenance.work import Limits, Work, due
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.settings import Settings
from crypto_pipeline.silver.schema import TICKS as SILVER_TICKS

NOW = datetime(2026, 11, 23, 10, 5, tzinfo=UTC)
TODAY = NOW.date()
DAY = timedelta(days=1)


def partition(day: date | None, files: int, *, batch: int | None = 1, **also: str) -> Partition:
    values = (() if day is None else (("date", str(day)),)) + tuple(also.items())
    return Partition(
        values=values, date=day, files=files, bytes=files * 1000, rows=files, newest_batch=batch
    )


def table(
    of: Table,
    *parts: Partition,
    committed_at: datetime | None = NOW,
    vacuumed: date | None = TODAY,
    batch: int = 1,
    to: int = 1,
    log_age: timedelta = DAY,
) -> TableFiles:
    record = CommitRecord(
        stage="s", batch=batch, write_id="w", ranges={"batches": {"to": to}}, counts={},
        outputs={}, code_version="t",
    )  # fmt: skip
    return TableFiles(
        table=of,
        version=9,
        properties={"crypto_pipeline.vacuumed_on": str(vacuumed)} if vacuumed else {},
        partitions=parts,
        log=LogFolder(objects=9, commits=9, checkpoints=0, bytes=1, oldest_at=NOW - log_age),
        committed=record if committed_at else None,
        committed_at=committed_at,
    )


def kinds(*tables: TableFiles, days: Mapping[str, int] | None = None) -> list[tuple[str, str]]:
    found = due(tables, now=NOW, limits=Limits(days=days or {}))
    return [(work.kind, work.predicate) for work in found]


def test_nothing_is_due_of_a_lake_in_order() -> None:
    parts = (partition(TODAY - DAY, 4), partition(TODAY, 29))
    assert kinds(table(CANDLES_1M, *parts), table(MARKET_SUMMARY, partition(None, 1))) == []


def test_what_another_engine_writes_is_left_to_it_and_still_counts_as_read() -> None:
    old = partition(TODAY - 40 * DAY, 9)
    theirs = table(CANDLES_1M, old, vacuumed=None, committed_at=NOW - 3 * DAY, log_age=9 * DAY)
    assert kinds(theirs, days={"gold": 30}) != []
    moved = replace(theirs, properties={**theirs.properties, ENGINE_PROPERTY: "databricks"})
    assert kinds(moved, days={"gold": 30}) == []
    raw = table(RECORDS, old)
    reader = table(BRONZE_TICKS)
    reader = replace(reader, properties={**reader.properties, ENGINE_PROPERTY: "databricks"})
    assert ("retain", f"date IN ('{old.date}')") in kinds(raw, reader, days={"raw": 30})


def test_a_past_date_is_compacted_above_four_files_and_today_from_thirty() -> None:
    assert kinds(table(CANDLES_1M, partition(TODAY, 30), partition(TODAY - DAY, 5))) == [
        ("compact", f"date = '{TODAY - DAY}'"),
        ("compact", f"date = '{TODAY}'"),
    ]
    assert kinds(table(MARKET_SUMMARY, partition(None, 30))) == [("compact", "")]


def test_the_files_of_a_date_count_together_over_its_partitions() -> None:
    parts = [partition(TODAY - DAY, n, topic=f"t{n}") for n in (1, 2, 3)]
    assert kinds(table(RECORDS, *parts)) == [
        ("compact", f"date = '{TODAY - DAY}' AND topic = 't2'"),
        ("compact", f"date = '{TODAY - DAY}' AND topic = 't3'"),
    ]


@pytest.mark.parametrize(("hours", "is_due"), [(23, False), (24, True), (200, True)])
def test_a_range_is_committed_again_after_a_day(hours: int, is_due: bool) -> None:
    files = table(CANDLES_1M, committed_at=NOW - timedelta(hours=hours))
    assert kinds(files) == ([("recommit", "")] if is_due else [])


def test_a_table_without_a_commit_of_ours_has_no_range() -> None:
    assert kinds(table(CANDLES_1M, committed_at=None)) == []


def test_whole_dates_go_when_they_are_older_than_their_layers_days() -> None:
    parts = [partition(TODAY - n * DAY, 1) for n in (6, 7, 8, 9)]
    gold = table(CANDLES_1M, *parts)
    volatility = table(reader_of(CANDLES_1M), to=5)
    expected = [("retain", f"date IN ('{TODAY - 8 * DAY}', '{TODAY - 9 * DAY}')")]
    found = kinds(gold, volatility, days={"gold": 7})
    assert [(k, sorted(p)) for k, p in found] == [(k, sorted(p)) for k, p in expected]
    assert kinds(gold, volatility, days={"gold": 0}) == []
    assert kinds(gold, volatility, days={"silver": 1}) == []


def test_a_removal_says_from_which_date_on_nothing_is_gone() -> None:
    parts = [partition(TODAY - n * DAY, 1) for n in (7, 9, 12)]
    tables = [table(CANDLES_1M, *parts), table(reader_of(CANDLES_1M), to=5)]
    (work,) = due(tables, now=NOW, limits=Limits(days={"gold": 7}))
    assert work.removed_before == TODAY - 8 * DAY


def reader_of(of: Table) -> Table:
    from crypto_pipeline.stages import STAGES

    return next(stage.primary for stage in STAGES if of in stage.reads)


@pytest.mark.parametrize(("to", "is_due"), [(4, False), (5, True)])
def test_what_the_next_stage_has_not_read_stays(to: int, is_due: bool) -> None:
    old = table(BRONZE_TICKS, partition(TODAY - 40 * DAY, 1, batch=5))
    read = table(SILVER_TICKS, to=to)
    assert kinds(old, read, days={"bronze": 30}) == (
        [("retain", f"date IN ('{TODAY - 40 * DAY}')")] if is_due else []
    )


def test_what_nobody_knows_the_batch_of_stays() -> None:
    old = table(BRONZE_TICKS, partition(TODAY - 40 * DAY, 1, batch=None))
    assert kinds(old, table(SILVER_TICKS, to=99), days={"bronze": 30}) == []


def test_a_stage_that_never_ran_has_read_nothing() -> None:
    old = table(BRONZE_TICKS, partition(TODAY - 40 * DAY, 1, batch=1))
    assert kinds(old, days={"bronze": 30}) == []


def test_vacuum_is_once_a_day() -> None:
    assert kinds(table(CANDLES_1M, vacuumed=TODAY - DAY)) == [("vacuum", "")]
    assert kinds(table(CANDLES_1M)) == []


def test_a_layer_whose_files_nobody_may_delete_is_not_vacuumed() -> None:
    tables = [table(of, vacuumed=TODAY - DAY) for of in (RECORDS, CANDLES_1M)]
    found = due(tables, now=NOW, limits=Limits(not_vacuumed=frozenset({"raw"})))
    assert [work.files.table for work in found] == [CANDLES_1M]


@pytest.mark.parametrize(("said", "layers"), [("yes", set()), ("no", {"raw"})])
def test_raw_is_vacuumed_unless_a_setting_says_no(
    said: str, layers: set[str], make_settings: Callable[..., Settings]
) -> None:
    assert limits_of(make_settings(RAW_VACUUM=said)).not_vacuumed == layers


def test_a_table_made_today_has_nothing_to_vacuum() -> None:
    assert kinds(table(CANDLES_1M, vacuumed=None, log_age=timedelta(hours=3))) == []
    assert kinds(table(CANDLES_1M, vacuumed=None, log_age=DAY)) == [("vacuum", "")]


def test_a_range_goes_before_everything() -> None:
    files = table(
        CANDLES_1M, partition(TODAY - DAY, 9), committed_at=NOW - DAY, vacuumed=TODAY - DAY
    )
    assert [kind for kind, _ in kinds(files)] == ["recommit", "compact", "vacuum"]


@given(counts=st.dictionaries(st.integers(0, 5), st.integers(1, 200), min_size=1))
def test_after_all_that_is_due_no_date_is_over_its_limit(counts: dict[int, int]) -> None:
    """Whatever the counts were: a compacted partition is one file, the others are within."""
    files = table(CANDLES_1M, *(partition(TODAY - n * DAY, c) for n, c in counts.items()))
    compacted = {w.predicate for w in due([files], now=NOW, limits=Limits()) if w.kind == "compact"}
    left = [p if p.predicate not in compacted else partition(p.date, 1) for p in files.partitions]
    seen = counted(table(CANDLES_1M, *left), now=NOW)
    assert seen.past_is_compact
    assert seen.now_is_compact


def test_counts_name_the_worst_date_and_how_far_the_log_reaches() -> None:
    parts = (partition(TODAY - 2 * DAY, 3), partition(TODAY - DAY, 7), partition(TODAY, 61))
    seen = counted(table(CANDLES_1M, *parts, log_age=4.5 * DAY), now=NOW)
    assert (seen.files, seen.most_of_a_past_date, seen.most_of_now) == (71, 7, 61)
    assert (seen.past_is_compact, seen.now_is_compact, seen.log_is_bounded) == (False,) * 3
    assert counted(table(CANDLES_1M, log_age=4 * DAY), now=NOW).log_is_bounded


def done(work: Work, *, is_cut: bool = False) -> Done:
    return Done(work=work, seconds=1.0, files_before=2, files_after=1, is_cut=is_cut)


def some_work(count: int) -> tuple[Work, ...]:
    parts = [partition(TODAY - n * DAY, 9) for n in range(1, count + 1)]
    return due([table(CANDLES_1M, *parts)], now=NOW, limits=Limits())


def test_a_bite_stops_when_its_time_is_over_and_says_what_is_left() -> None:
    clock = [0.0]

    def perform(work: Work, *, seconds: float) -> Done:
        assert seconds == 20.0 - clock[0]
        clock[0] += 8.0
        return done(work)

    bite = Bite(perform=perform, is_wanted=lambda: False, seconds=20.0, clock=lambda: clock[0])
    finished, left = bite.take(some_work(5), "compact")
    assert (len(finished), left) == (3, 2)
    assert bite.take(some_work(2), "compact") == ([], 2), "the next kind has no time either"


def test_a_bite_gives_way_to_a_cycle_that_waits() -> None:
    waits = iter([False, False, True])
    bite = Bite(perform=lambda work, *, seconds: done(work), is_wanted=lambda: next(waits))
    finished, left = bite.take(some_work(5), "compact")
    assert (len(finished), left) == (2, 3)


def test_work_that_was_cut_is_still_left() -> None:
    bite = Bite(perform=lambda work, *, seconds: done(work, is_cut=True), is_wanted=lambda: False)
    finished, left = bite.take(some_work(1), "compact")
    assert (len(finished), left) == (1, 1)
