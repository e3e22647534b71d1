"""Dagster opens a history that was laid down, and pruning has nothing to take from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from crypto_pipeline.keeping_settings import DAGSTER_DAYS
from crypto_pipeline.resources.dagster_history import History
from crypto_pipeline_tests.fabricated import dagster_home
from crypto_pipeline_tests.resources.minutes import opened


def test_a_history_is_as_long_as_what_is_kept(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    made = dagster_home.lay_dagster(tmp_path, minutes=5, now=now)
    with opened(tmp_path) as instance:
        # Two jobs a minute, and the two that were run for real.
        assert instance.get_runs_count() == made.run_files() == 2 * 5 + 2
        assert History(instance).prune(before=now - timedelta(days=DAGSTER_DAYS)).runs == 0
        oldest = min(record.create_timestamp for record in instance.get_run_records())
        assert now - oldest.replace(tzinfo=UTC) < timedelta(minutes=6)
    assert dagster_home.KEPT == 1_500
