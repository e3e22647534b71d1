"""From what is seen to what is wrong: pure functions, one a kind of alert."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from crypto_pipeline.alerting.alert import Alert

STALE_AFTER = timedelta(minutes=5)
BOOKS = "books_balance"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """The newest finished run of a job; `reason` is why it failed, in few words."""

    job: str
    run_id: str
    is_success: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The newest result of a check on an asset; `is_error` is false for a mere warning."""

    asset: str
    name: str
    passed: bool
    is_error: bool


def failed_runs(newest: Iterable[FinishedRun]) -> list[Alert]:
    """One a job whose newest finished run failed; a later success ends it."""
    return [
        Alert(
            kind="run_failed",
            subject=run.job,
            text=f"Run {run.run_id[:8]} of {run.job} failed. {run.reason}".strip(),
        )
        for run in newest
        if not run.is_success
    ]


def stale_tables(committed_at: Mapping[str, datetime | None], *, now: datetime) -> list[Alert]:
    """One a table whose newest commit is too old; a table that is not there yet is not stale."""
    return [
        Alert(
            kind="stale",
            subject=key,
            text=f"{key} has had no commit for more than {STALE_AFTER.seconds // 60} minutes.",
        )
        for key, at in committed_at.items()
        if at is not None and now - at > STALE_AFTER
    ]


def failed_checks(results: Iterable[CheckResult]) -> list[Alert]:
    """Unbalanced books by themselves; every other check that is not a mere warning."""
    failed = [result for result in results if not result.passed and result.is_error]
    return [
        Alert(
            kind="books" if result.name == BOOKS else "check",
            subject=result.asset if result.name == BOOKS else f"{result.asset}/{result.name}",
            text=f"Check {result.name} of {result.asset} failed.",
        )
        for result in failed
    ]


def open_gaps(minutes: Iterable[tuple[str, str, datetime]]) -> list[Alert]:
    """One a source; `minutes` are source, symbol and minute of each that is open."""
    alerts = []
    for source, own in groupby(sorted(minutes), key=lambda one: one[0]):
        listed = list(own)
        symbols = {symbol for _, symbol, _ in listed}
        first = min(at for _, _, at in listed)
        alerts.append(
            Alert(
                kind="gaps",
                subject=source,
                text=f"{len(listed)} minutes of {len(symbols)} symbols are missing since "
                f"{first:%Y-%m-%d %H:%M} UTC.",
            )
        )
    return alerts
