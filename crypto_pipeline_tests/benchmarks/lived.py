"""What a stack that lived for a while has on record: polls, forecasts, runs and their steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from deltalake import DeltaTable

from crypto_pipeline.automation import CYCLE_JOB
from crypto_pipeline.contract.topic import POLLS
from crypto_pipeline.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """Epoch seconds: the minute it was due, when it began, when the broker had its record."""

    due: float
    began: float
    recorded: float

    @property
    def late(self) -> float:
        return self.began - self.due


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One cycle by Dagster's own record, epoch seconds; `ours` are seconds within our code."""

    began: float
    ended: float
    ours: float


def commits(path: str) -> list[float]:
    """When each commit of ours was made, in epoch seconds, oldest first."""
    entries = DeltaTable(path).history()
    return sorted(e["timestamp"] / 1000 for e in entries if "userMetadata" in e)


def polls(lake: str) -> list[Poll]:
    """Those of the minutes, oldest first; of what brought a history nothing is said."""
    records = DeltaTable(f"{lake}/raw/records").to_pyarrow_table(
        columns=["partition", "offset", "broker_at"], filters=[("topic", "=", POLLS.name)]
    )
    recorded = {
        (row["partition"], row["offset"]): row["broker_at"].timestamp()
        for row in records.to_pylist()
    }
    found = DeltaTable(f"{lake}/bronze/polls").to_pyarrow_table(
        columns=["purpose", "poll_at", "started_at", "partition", "offset"]
    )
    return sorted(
        (
            Poll(
                due=row["poll_at"].timestamp(),
                began=row["started_at"].timestamp(),
                recorded=recorded[row["partition"], row["offset"]],
            )
            for row in found.to_pylist()
            if row["purpose"] == "minute"
        ),
        key=lambda poll: poll.due,
    )


def runs(settings: Settings) -> list[Run]:
    """Finished cycles, oldest first."""
    with dg.DagsterInstance.from_config(str(settings.home / "dagster")) as instance:
        records = instance.get_run_records(dg.RunsFilter(job_name=CYCLE_JOB))
        ended = [r for r in records if r.start_time is not None and r.end_time is not None]
        found = [
            Run(
                began=record.start_time or 0.0,
                ended=record.end_time or 0.0,
                ours=ours(instance.all_logs(record.dagster_run.run_id)),
            )
            for record in ended
        ]
    return sorted(found, key=lambda run: run.began)


def ours(entries: Sequence[dg.EventLogEntry]) -> float:
    """Seconds from each step's start to what it yields first: all that follows is Dagster's.

    What a stage says that it took is less: it knows nothing of the session that is opened for the
    first of them, or of what the last one makes ready for the next minute.
    """
    began: dict[str, float] = {}
    yielded: dict[str, float] = {}
    for entry in entries:
        event, step = entry.dagster_event, entry.step_key
        if event is None or step is None:
            continue
        if event.is_step_start:
            began[step] = entry.timestamp
        elif event.is_successful_output:
            yielded.setdefault(step, entry.timestamp)
    return sum(at - began[step] for step, at in yielded.items())


def resident_mebibytes(pids: Sequence[int]) -> float:
    """Memory of the processes, shared pages divided among those that share them."""
    total = 0
    for pid in pids:
        try:
            rolled = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in rolled.splitlines() if line[:4] == "Pss:")
    return total / 1024
