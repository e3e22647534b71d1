"""The audit: every stage's books recounted, every layer compared with what it must be."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from crypto_pipeline.audit import (
    bronze_account,
    commit_account,
    gold_account,
    predictions_account,
    raw_account,
    silver_account,
)
from crypto_pipeline.audit.difference import Difference, Line
from crypto_pipeline.audit.pins import pin
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.tuning import tune
from crypto_pipeline.stages import BRONZE, CANDLES, PREDICTIONS, RAW, SILVER, TABLES

ACCOUNTS = (
    (RAW, raw_account.account),
    (BRONZE, bronze_account.account),
    (SILVER, silver_account.account),
    (CANDLES, gold_account.account),
    (PREDICTIONS, predictions_account.account),
    (RAW, commit_account.account),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What an audit found; `start` and `end` are broker times, UTC, None without limit."""

    start: datetime | None
    end: datetime | None
    lines: tuple[Line, ...]
    differences: tuple[Difference, ...]
    seconds: float

    @property
    def is_clean(self) -> bool:
        return not self.differences and all(line.balances for line in self.lines)


def audit(lake: Lake, *, start: datetime | None = None, end: datetime | None = None) -> Audit:
    """Look at what reached the broker in [start, end); everything else is only read beside it.

    Stages go on meanwhile: each layer is compared as far as the next one had read it.
    """
    began = time.perf_counter()
    for table in TABLES:
        if log.open_table(lake.path(table)) is None:
            lake.ensure(table)
    # The session is as the last stage left it, tuned to a minute's rows.
    tune(lake.spark, rows=log.row_count(lake.path(RAW.primary)))
    pins = pin(lake, start=start, end=end)
    lines: list[Line] = []
    differences: list[Difference] = []
    for stage, account in ACCOUNTS:
        if pins.batch(stage):
            found = account(pins)
            lines += found.lines
            differences += found.differences
    return Audit(
        start=start,
        end=end,
        lines=tuple(lines),
        differences=tuple(differences),
        seconds=round(time.perf_counter() - began, 1),
    )
