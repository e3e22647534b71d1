"""Dagster's history of many minutes: the two jobs run for real once, then copied row by row.

A copy has the run's own rows and its file of events, under another id and at another time.
"""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from crypto_pipeline.definitions import defs
from crypto_pipeline.predictions.live import Scoring
from crypto_pipeline.predictions.training import Training
from crypto_pipeline.publication import Publication
from crypto_pipeline.resources.lake import LakeResource, stage_results
from crypto_pipeline.run_stage import StageRun
from crypto_pipeline.stage import Stage
from crypto_pipeline.status import folder_bytes
from crypto_pipeline_tests.stream.test_asset import FakeIngest

SENT = Publication(records=20, passed=0, batch=1, seconds=0.5)


class FakeLake(LakeResource):
    """Materialises as a cycle does, with metadata of the size of a real minute's."""

    def materialize(self, stage: Stage) -> Iterator[Any]:
        yield from stage_results(stage, minute_of(stage))

    def held(self) -> dict[str, int]:
        return {}

    def train(self) -> Training:
        return Training(fits=(), model_version=None, reason="the last fit is fresh")

    def score(self) -> Scoring:
        return Scoring(0, [], "no outcome since the last scoring")

    def publish_summary(self) -> Publication:
        return SENT

    def publish_forecasts(self) -> Publication:
        return SENT

    def publish_status(self) -> Publication:
        return SENT


def minute_of(stage: Stage) -> StageRun:
    partitions = {str(n): [123_456, 123_470] for n in range(3)}
    topics = {t.name: {"topic_id": "x" * 22, "partitions": partitions} for t in stage.topics}
    return StageRun(
        stage=stage.name,
        batch=12_345,
        rows_in=41,
        outcomes={"tick": 20, "candle": 20, "poll": 1},
        rows_out={t.key: 20 for t in stage.outputs},
        ranges={"kafka": {"cluster_id": "y" * 22, "topics": topics}, "pinned": {"now": "z" * 32}},
        versions={t.key: 12_345 for t in stage.outputs},
        seconds=1.0,
        newest_fact_at=datetime.now(UTC),
        phases=dict.fromkeys(("plan", "read", "transform", "count", "commit"), 0.2),
    )


@dataclass(frozen=True)
class Minutes:
    """An instance in a folder, and the runs in it that others are copied from."""

    home: Path
    templates: Sequence[str]

    def add(self, start: datetime, count: int) -> None:
        """Copies of every template, one a minute from `start` on, newest last."""
        with (
            closing(sqlite3.connect(self.home / "history" / "runs.db")) as runs,
            closing(sqlite3.connect(self.home / "history" / "runs" / "index.db")) as index,
        ):
            for n in range(count):
                for template in self.templates:
                    self._copy(runs, index, template, at=start + timedelta(minutes=n))
            runs.commit()
            index.commit()

    def _copy(
        self, runs: sqlite3.Connection, index: sqlite3.Connection, template: str, *, at: datetime
    ) -> None:
        new = str(uuid.uuid4())
        moment = at.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
        for connection, table in (
            (runs, "runs"),
            (runs, "run_tags"),
            (index, "event_logs"),
            (index, "asset_check_executions"),
        ):
            copy_rows(connection, table, template, new, moment, at.timestamp())
        shards = self.home / "history" / "runs"
        shutil.copyfile(shards / f"{template}.db", shards / f"{new}.db")

    def run_files(self) -> int:
        return sum(1 for _ in (self.home / "history" / "runs").glob("*-*.db"))

    def bytes(self) -> int:
        return folder_bytes(self.home)


def copy_rows(
    connection: sqlite3.Connection, table: str, old: str, new: str, moment: str, seconds: float
) -> None:
    cursor = connection.execute(f"SELECT * FROM {table} WHERE run_id = ?", (old,))
    columns = [c[0] for c in cursor.description]
    for row in cursor.fetchall():
        values: dict[str, Any] = dict(zip(columns, row, strict=True))
        del values["id"]
        for name, value in values.items():
            if isinstance(value, str) and old in value:
                values[name] = value.replace(old, new)
            elif name.endswith("timestamp") and isinstance(value, str):
                values[name] = moment
            elif name in ("start_time", "end_time"):
                values[name] = seconds
        marks = ", ".join("?" for _ in values)
        connection.execute(
            f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values())
        )


def opened(home: Path) -> dg.DagsterInstance:
    """The history in a folder, kept as `up` keeps it."""
    storage = {
        "module": "crypto_pipeline.resources.event_log",
        "class": "History",
        "config": {"base_dir": str(home)},
    }
    return dg.DagsterInstance.local_temp(str(home), overrides={"storage": {"custom": storage}})


def start(home: Path, instance: dg.DagsterInstance) -> Minutes:
    """Run a minute's two jobs for real, into the instance."""
    ids = []
    for job in ("ingestion", "lake_cycle"):
        done = (
            defs()
            .resolve_job_def(job)
            .execute_in_process(
                instance=instance, resources={"lake": FakeLake(), "market": FakeIngest()}
            )
        )
        assert done.success
        ids.append(done.run_id)
    for shard in (home / "history" / "runs").glob("*-*.db"):
        # What the run wrote last must be in the file that is copied.
        with closing(sqlite3.connect(shard)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Minutes(home=home, templates=ids)
