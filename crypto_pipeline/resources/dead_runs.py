"""Runs whose code location is gone, marked as failed before the next one serves.

    python -m crypto_pipeline.resources.dead_runs

Runs are children of the code server, and Dagster's launcher cannot tell that one is dead: it would
hold its place, and every poll or cycle after it, until the longest run time has passed. A chart
and Compose have one code location at a time, so what had begun before this one is dead.
"""

from __future__ import annotations

import sys

import dagster as dg

# Not those that wait: they start in the code location that comes.
BEGUN = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
WHY = "The code location that this run was in has ended, and the run with it."


def fail_all(instance: dg.DagsterInstance) -> int:
    """Only while no code location runs. Returns how many there were."""
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=BEGUN))
    for run in runs:
        instance.report_run_failed(run, WHY)
    return len(runs)


def main() -> None:
    with dg.DagsterInstance.get() as instance:
        count = fail_all(instance)
    if count:
        sys.stderr.write(f"Failed {count} runs that died with an earlier code location.\n")


if __name__ == "__main__":
    main()
