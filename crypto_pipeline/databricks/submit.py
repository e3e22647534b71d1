"""What is submitted to the workspace for one step: a wheel task, its environment, its limits."""

from __future__ import annotations

import hashlib
from typing import Any

from databricks.sdk.service import compute, jobs

from crypto_pipeline.databricks.wheel import ENTRY_POINT, PACKAGE, wheel_path
from crypto_pipeline.settings import Settings
from crypto_pipeline.store_settings import SCHEME

ENVIRONMENT = "stages"
# Serverless' second environment: Python 3.11, as our code wants it, and pandas of the same years.
ENVIRONMENT_VERSION = "2"


def parameters(settings: Settings, step: str) -> list[str]:
    """The task's own; those of Dagster Pipes are added by its client."""
    limits = settings.rejection_limits
    return [
        f"--steps={step}",
        f"--lake-root={catalog_root(settings.lake_root)}",
        f"--market={settings.market}",
        f"--catalog={settings.databricks.catalog or ''}",
        f"--rejection-rate={limits.rate}",
        f"--rejection-rows={limits.least_rows}",
    ]


def catalog_root(root: str) -> str:
    """A bucket as Databricks' catalog names it.

    >>> catalog_root("s3a://market-data/lake")
    's3://market-data/lake'
    """
    return root.replace(SCHEME, "s3://", 1)


def task(settings: Settings, step: str) -> jobs.SubmitTask:
    """Serverless, or on the cluster that is set."""
    wheel_task = jobs.PythonWheelTask(
        package_name=PACKAGE, entry_point=ENTRY_POINT, parameters=parameters(settings, step)
    )
    cluster = settings.databricks.cluster_id
    if cluster is None:
        return jobs.SubmitTask(
            task_key=step, python_wheel_task=wheel_task, environment_key=ENVIRONMENT
        )
    return jobs.SubmitTask(
        task_key=step,
        python_wheel_task=wheel_task,
        existing_cluster_id=cluster,
        libraries=[compute.Library(whl=wheel_path(settings.databricks))],
    )


def submit_args(settings: Settings, step: str, *, token: str) -> dict[str, Any]:
    """What goes beside the task. The same token is the same run, however often it is sent."""
    arguments: dict[str, Any] = {
        "run_name": f"crypto-pipeline {step}",
        "idempotency_token": token,
        "timeout_seconds": 60 * settings.databricks.timeout_minutes,
    }
    if settings.databricks.cluster_id is None:
        spec = compute.Environment(
            environment_version=ENVIRONMENT_VERSION, dependencies=[wheel_path(settings.databricks)]
        )
        arguments["environments"] = [jobs.JobEnvironment(environment_key=ENVIRONMENT, spec=spec)]
    return arguments


def submit_token(*, run_id: str, step: str, attempt: int) -> str:
    """One for each attempt at a step in a run of Dagster; Databricks takes 64 characters."""
    return hashlib.sha256(f"{run_id}|{step}|{attempt}".encode()).hexdigest()
