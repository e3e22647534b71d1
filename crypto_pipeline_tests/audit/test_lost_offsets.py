"""What a commit says is lost excuses the jump where it was, and no other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from crypto_pipeline.audit.pins import pin
from crypto_pipeline.audit.raw_account import account
from crypto_pipeline.contract import topic
from crypto_pipeline.lake.commit import Write, commit
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.stages import RAW
from crypto_pipeline_tests.builders import AT, day_of, frame, raw_row, summary_of

if TYPE_CHECKING:
    from datetime import datetime

    from crypto_pipeline.lake.location import Lake

pytestmark = pytest.mark.spark

NEXT_DAY = AT + timedelta(days=1)


def write(
    lake: Lake,
    batch: int,
    offsets: Sequence[int],
    *,
    at: datetime,
    span: tuple[int, int],
    lost: int = 0,
) -> None:
    """A commit of raw that claims the offsets of `span` and has those that are named."""
    rows = [
        raw_row(b"x", offset=n) | {"broker_at": at, "date": day_of(at), "batch": batch}
        for n in offsets
    ]
    topics = {topic.TICKS.name: {"topic_id": "i", "partitions": {"0": list(span)}}}
    record = CommitRecord(
        stage=RAW.name,
        batch=batch,
        write_id=f"w{batch}",
        ranges={
            "kafka": {"cluster_id": "c", "epoch": 0, "topics": topics, "lost": lost},
            "pinned": {},
        },
        counts={"in": len(rows)},
        outputs={RECORDS.key: summary_of(RECORDS, rows)},
        code_version="test",
    )
    written = frame(lake.spark, RECORDS, rows)
    commit(Write(path=lake.path(RECORDS), rows=written, row_count=len(rows)), record)


def missing(lake: Lake, *, start: datetime | None, end: datetime | None) -> list[tuple[int, str]]:
    found = account(pin(lake, start=start, end=end)).differences
    return [(one.rows, one.example) for one in found if one.what == "missing"]


def test_a_loss_of_another_day_hides_no_missing_record(lake: Lake) -> None:
    lake.ensure(RECORDS)
    write(lake, 1, range(5), at=AT, span=(0, 5))
    write(lake, 2, range(9, 12), at=AT, span=(9, 12), lost=4)
    write(lake, 3, (12, 13, 16), at=NEXT_DAY, span=(12, 17))
    silent = [(2, f"{topic.TICKS.name} 0/0@15")]
    assert missing(lake, start=None, end=NEXT_DAY) == []
    assert missing(lake, start=NEXT_DAY, end=None) == silent
    assert missing(lake, start=None, end=None) == silent
