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
    """What one run of a stage did. `batch` is 0 when nothing was new; seconds are wall time."""

    stage: str
    batch: int
    rows_in: int
    outcomes: Mapping[str, int]
    rows_out: Mapping[str, int]
    ranges: Mapping[str, Any]
    versions: Mapping[str, int]
    seconds: float
    newest_fact_at: datetime | None
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
