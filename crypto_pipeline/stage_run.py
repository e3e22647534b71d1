"""What one run of a stage did, as a value: for metadata, a status record, a printed table."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from crypto_pipeline.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRun:
    """What one run of a stage did. `batch` is 0 when nothing was new; seconds are wall time.

    `left` is the backlog behind the range: records for raw, batches of the stage before for others;
    `lost` counts the records that the broker's retention removed before they were read.
    """

    stage: str
    batch: int
    rows_in: int
    outcomes: Mapping[str, int]
    rows_out: Mapping[str, int]
    ranges: Mapping[str, Any]
    versions: Mapping[str, int]
    seconds: float
    newest_fact_at: datetime | None
    left: int = 0
    lost: int = 0
    phases: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return self.batch == 0

    @property
    def rejected(self) -> int:
        return self.outcomes.get("rejected", 0)

    @property
    def balances(self) -> bool:
        return self.rows_in == sum(self.outcomes.values())


def nothing_new(stage: Stage, *, seconds: float) -> StageRun:
    return StageRun(
        stage=stage.name,
        batch=0,
        rows_in=0,
        outcomes={},
        rows_out={},
        ranges={},
        versions={},
        seconds=seconds,
        newest_fact_at=None,
    )


def joined(first: StageRun, second: StageRun) -> StageRun:
    """Two bites of one stage as one report; range and batch are the last bite's."""
    names = {*first.outcomes, *second.outcomes}
    tables = {*first.rows_out, *second.rows_out}
    return StageRun(
        stage=second.stage,
        batch=second.batch,
        rows_in=first.rows_in + second.rows_in,
        outcomes={n: first.outcomes.get(n, 0) + second.outcomes.get(n, 0) for n in names},
        rows_out={t: first.rows_out.get(t, 0) + second.rows_out.get(t, 0) for t in tables},
        ranges=second.ranges,
        versions=second.versions,
        seconds=first.seconds + second.seconds,
        newest_fact_at=second.newest_fact_at,
        left=second.left,
        lost=first.lost + second.lost,
        phases=second.phases,
    )


class Watch:
    """Seconds since its making, and by lap."""

    def __init__(self) -> None:
        self._begin = self._last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 3)
        self._last = now

    def total(self) -> float:
        return round(time.perf_counter() - self._begin, 3)
