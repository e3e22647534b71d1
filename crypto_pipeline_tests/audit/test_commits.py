"""What the audit reads out of the commits alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import pytest

from crypto_pipeline.audit.batches import filled
from crypto_pipeline.audit.commit_account import sequence
from crypto_pipeline.audit.pins import Pins
from crypto_pipeline.audit.raw_account import Loss, said_as_lost
from crypto_pipeline.bronze.schema import TICKS
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.stages import BRONZE, RAW
from crypto_pipeline_tests.builders import AT
from crypto_pipeline_tests.lake.delta_log import record


def pins(*records: CommitRecord, stage: str = BRONZE.name) -> Pins:
    history = {stage: tuple((AT, one) for one in records)}
    return Pins(
        lake=cast("Lake", None), start=None, end=None, last={}, history=history, versions={}
    )


def found(*records: CommitRecord) -> list[str]:
    return [one.what for one in sequence(pins(*records), BRONZE)]


def offsets(batch: int, start: int, end: int, *, epoch: int = 0, lost: int = 0) -> CommitRecord:
    topics = {"t": {"topic_id": "i", "partitions": {"0": [start, end]}}}
    kafka: dict[str, Any] = {"cluster_id": "c", "epoch": epoch, "topics": topics, "lost": lost}
    return record(batch, ranges={"kafka": kafka, "pinned": {}})


def test_a_row_of_batches_that_join_is_sound() -> None:
    assert found(record(1), record(2), record(3)) == []
    # The log may begin anywhere, and maintenance commits the newest range again.
    assert found(record(7), record(8), replace(record(8), write_id="again")) == []


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([record(1), record(3)], "follows batch 1"),
        (
            [record(1), record(2, ranges={"batches": {"after": 3, "to": 4}, "pinned": {}})],
            "does not go on where the batch before it ended",
        ),
        (
            [record(1), record(1, ranges={"batches": {"after": 0, "to": 2}, "pinned": {}})],
            "two commits with different ranges",
        ),
        ([replace(record(1), counts={"in": 3, "tick": 2})], "counts do not add up"),
    ],
)
def test_what_does_not_join_is_named(records: list[CommitRecord], words: str) -> None:
    (what,) = found(*records)
    assert what.startswith(words)


def test_an_epoch_never_goes_back() -> None:
    good = [offsets(1, 0, 5), offsets(2, 0, 3, epoch=1), offsets(3, 3, 4, epoch=1)]
    assert [one.what for one in sequence(pins(*good, stage=RAW.name), RAW)] == []
    bad = [*good, offsets(4, 4, 6)]
    assert "epoch goes back from 1 to 0" in [
        one.what for one in sequence(pins(*bad, stage=RAW.name), RAW)
    ]


def test_a_lease_never_goes_back() -> None:
    leased = [replace(record(n), lease_epoch=epoch) for n, epoch in ((1, 2), (2, 3), (3, 0))]
    assert found(*leased) == []
    zombie = replace(record(4), lease_epoch=2)
    assert found(*leased, zombie) == ["lease goes back from 3 to 2"]


def test_only_what_a_commit_says_is_lost_may_be_missing() -> None:
    said = pins(offsets(1, 0, 5), offsets(2, 9, 12, lost=4), stage=RAW.name)
    assert said_as_lost(said) == (Loss(place=("t", 0, 0), first=5, end=9),)
    assert list(sequence(said, RAW)) == []
    silent = pins(offsets(1, 0, 5), offsets(2, 9, 12), stage=RAW.name)
    assert said_as_lost(silent) == ()
    assert len(list(sequence(silent, RAW))) == 1


def test_a_commit_whose_rows_retention_has_removed_is_not_held_against_the_table() -> None:
    first = datetime(2026, 11, 23, tzinfo=UTC)
    whole = replace(pins(), whole={"bronze": first.date()})

    def wrote(at: datetime | None) -> CommitRecord:
        seconds = None if at is None else at.timestamp()
        return record(1, outputs={TICKS.key: [2, seconds, AT.timestamp()]})

    assert whole.still_has(TICKS, wrote(first))
    assert whole.still_has(TICKS, wrote(None))
    assert not whole.still_has(TICKS, wrote(first - timedelta(microseconds=1)))
    assert pins().still_has(TICKS, wrote(first - timedelta(days=99)))


def test_of_several_layers_the_one_that_holds_least_decides() -> None:
    whole = replace(pins(), whole={"raw": date(2026, 10, 29), "silver": date(2026, 8, 30)})
    assert whole.whole_from("raw", "bronze") == date(2026, 10, 29)
    assert whole.whole_from("silver") == date(2026, 8, 30)
    assert whole.whole_from("gold") is None


def test_a_batch_without_a_row_goes_with_the_next_that_has_one() -> None:
    assert filled({2: 1, 5: 3}, [1, 2, 4, 6], last=4) == [(1, 1), (2, 1), (4, 3), (5, 3), (6, 4)]
