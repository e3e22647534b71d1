"""What Dagster's instance says is wrong: the newest run of each job, the newest check results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import dagster as dg

from crypto_pipeline import errors
from crypto_pipeline.alerting.alert import Alert
from crypto_pipeline.alerting.conditions import CheckResult, FinishedRun, failed_checks, failed_runs

FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
WORDS = 300


def instance_alerts(
    instance: dg.DagsterInstance, *, jobs: Sequence[str], checks: Sequence[dg.AssetCheckKey]
) -> list[Alert]:
    """Failed jobs and failed checks; a job or a check that never ran is neither."""
    return [
        *failed_runs(newest_runs(instance, jobs)),
        *failed_checks(newest_results(instance, checks)),
    ]


def newest_runs(instance: dg.DagsterInstance, jobs: Sequence[str]) -> Iterator[FinishedRun]:
    for job in jobs:
        filters = dg.RunsFilter(job_name=job, statuses=FINISHED)
        for run in instance.get_runs(filters=filters, limit=1):
            is_success = run.status is dg.DagsterRunStatus.SUCCESS
            yield FinishedRun(
                job=job,
                run_id=run.run_id,
                is_success=is_success,
                reason="" if is_success else _reason(instance, run.run_id),
            )


def newest_results(
    instance: dg.DagsterInstance, checks: Sequence[dg.AssetCheckKey]
) -> Iterator[CheckResult]:
    for key in checks:
        history = instance.event_log_storage.get_asset_check_execution_history
        # Planned ones have no evaluation yet; the newest that has one counts.
        for record in history(key, limit=5):
            evaluation = record.event.asset_check_evaluation if record.event else None
            if evaluation is not None:
                yield CheckResult(
                    asset=key.asset_key.to_user_string(),
                    name=key.name,
                    passed=evaluation.passed,
                    is_error=evaluation.severity is dg.AssetCheckSeverity.ERROR,
                )
                break


def _reason(instance: dg.DagsterInstance, run_id: str) -> str:
    """Our own sentence of what failed; of another's error the class alone: it may hold a secret."""
    failures = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    for entry in failures:
        error = entry.get_dagster_event().step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            return reason_of(error.cls_name or "", error.message)
    return ""


def reason_of(name: str, message: str) -> str:
    """
    >>> reason_of("BrokerAwayError", "crypto_pipeline.errors.BrokerAwayError: No broker answers.")
    'No broker answers.'
    >>> reason_of("OSError", "OSError: no route to https://user:secret@host")
    'OSError'
    """
    is_ours = isinstance(getattr(errors, name, None), type)
    sentence = " ".join(message.split(": ", 1)[-1].split())
    return sentence[:WORDS] if is_ours else name
