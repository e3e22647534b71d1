"""Dagster's own history beside a fabricated lake: as large as pruning lets it become.

Of a month and of a quarter alike it keeps a day, and the hour between two prunings. The runs are
copies of a minute's two jobs that were run for real (`resources/minutes.py`).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from crypto_pipeline.keeping_settings import DAGSTER_DAYS
from crypto_pipeline_tests.builders import MINUTE
from crypto_pipeline_tests.resources.minutes import Minutes, opened, start

# A minute's runs take half a megabyte: a day and an hour of them is 0.8 GB.
KEPT = DAGSTER_DAYS * 1_440 + 60


def lay_dagster(home: Path, *, minutes: int, now: datetime) -> Minutes:
    """Fill an empty DAGSTER_HOME with the runs of the last minutes that pruning would have left."""
    home.mkdir(parents=True, exist_ok=True)
    with opened(home) as instance:
        made = start(home, instance)
    kept = min(minutes, KEPT)
    made.add(now - kept * MINUTE, kept)
    return made
