"""A day of commits later a cycle costs what it did at first, and files and logs are bounded."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from crypto_pipeline.maintenance.work import CURRENT_FILES, PAST_FILES
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.maintenance.day import (
    a_day,
    against_fresh,
    cleaned_log,
    growth,
    live,
)
from crypto_pipeline_tests.spark_memory import LIMIT_MEBIBYTES

pytestmark = [
    pytest.mark.spark,
    pytest.mark.integration,
    pytest.mark.prove,
    pytest.mark.timeout(14_400),
]

COST = 1.3
CHECKPOINT_EVERY = 50


@pytest.mark.skipif(not proof.is_full(), reason="hours: `make prove` has it; test_perform.py and "
                    "test_work.py hold each rule that it is made of")  # fmt: skip
def test_a_day_of_minutes_later_a_cycle_costs_what_it_did(tmp_path: Path) -> None:
    claim = proof.begin("day-of-minutes", reduced=0, full=1_440)
    with a_day(claim.state) as day:
        live(day, minutes=claim.count, until=time.monotonic() + 14_000)
        day.upkeep()
        memory = growth(day.memory.samples)
        assert day.feed.minutes >= claim.count
        fresh = against_fresh(day)
        cleaned = cleaned_log(day, cycles=CHECKPOINT_EVERY)
    assert day.most["files_of_a_past_date"] <= PAST_FILES
    assert day.most["files_of_now"] <= CURRENT_FILES
    assert fresh["ratio"] <= COST
    assert cleaned["after"] < cleaned["before"] / 4
    assert memory["peak"] < LIMIT_MEBIBYTES
    claim.record(
        minutes=day.feed.minutes,
        after_upkeep=day.most,
        against_fresh=fresh,
        log=cleaned,
        spark_mebibytes=memory,
    )
