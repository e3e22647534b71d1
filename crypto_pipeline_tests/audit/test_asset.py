"""The audit of a day as an asset: what is looked at, and what its check says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import dagster as dg
import pytest

from crypto_pipeline.audit.asset import AUDIT_DAY, audit_day
from crypto_pipeline.audit.difference import Difference, Line
from crypto_pipeline.audit.run import Audit
from crypto_pipeline.resources import day_work

DAY = datetime(2026, 11, 23, tzinfo=UTC)
LOST = Difference(table="silver/ticks", what="missing", rows=1, example="BTC-USDT")


@pytest.mark.parametrize("differences", [(), (LOST,)], ids=["clean", "different"])
def test_a_day_is_looked_at_whole_and_any_difference_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, differences: tuple[Difference, ...]
) -> None:
    asked = []

    def audited(_: object, *, start: datetime, end: datetime) -> Audit:
        asked.append((start, end))
        line = Line(stage="silver", rows_in=3, outcomes=Counter(accepted=2, duplicate=1))
        return Audit(start=start, end=end, lines=(line,), differences=differences, seconds=0.1)

    @contextmanager
    def no_lake(*_: object, **__: object) -> Iterator[None]:
        yield

    monkeypatch.setattr(day_work, "audit", audited)
    monkeypatch.setattr(day_work, "reading_lake", no_lake)
    done = dg.materialize(
        [audit_day], partition_key=f"{DAY:%Y-%m-%d}", resources={"day_work": day_work.DayWork()}
    )
    assert asked == [(DAY, DAY.replace(day=24))]
    (check,) = done.get_asset_check_evaluations()
    assert (check.asset_key, check.passed) == (AUDIT_DAY, not differences)
