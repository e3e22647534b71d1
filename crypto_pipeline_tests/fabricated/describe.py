"""What a lake consists of, in numbers that can be compared: files, log, rows, time to open."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from deltalake import DeltaTable

from crypto_pipeline.lake.table import Table
from crypto_pipeline.maintenance.table_files import LOG_FOLDER, inspect
from crypto_pipeline.stages import STAGES

OPENED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One table: live files and bytes of past dates and of now, rows, its log, seconds to open.

    `tail` counts the versions after the last checkpoint, which every snapshot reads one by one.
    """

    key: str
    version: int
    past_files: int
    now_files: int
    past_bytes: int
    now_bytes: int
    rows: int
    log_objects: int
    log_bytes: int
    checkpoints: int
    tail: int
    seconds: float


def describe(root: Path, *, today: date, opened: int = OPENED) -> dict[str, Described]:
    """Every table of the stages that is there, by its key."""
    found = (_described(root / table.key, table, today, opened) for table in tables())
    return {one.key: one for one in found if one is not None}


def tables() -> list[Table]:
    """Those that stages write, in the order of the data."""
    return [table for stage in STAGES for table in stage.outputs]


def _described(folder: Path, table: Table, today: date, opened: int) -> Described | None:
    files = inspect(str(folder), table)
    if files is None:
        return None
    past = [p for p in files.partitions if p.date is not None and p.date < today]
    now = [p for p in files.partitions if p not in past]
    return Described(
        key=table.key,
        version=files.version,
        past_files=sum(p.files for p in past),
        now_files=sum(p.files for p in now),
        past_bytes=sum(p.bytes for p in past),
        now_bytes=sum(p.bytes for p in now),
        rows=files.rows,
        log_objects=files.log.objects,
        log_bytes=files.log.bytes,
        checkpoints=files.log.checkpoints,
        tail=files.version - _last_checkpoint(folder),
        seconds=statistics.median(seconds_to_open(folder) for _ in range(opened)),
    )


def seconds_to_open(folder: Path) -> float:
    """One snapshot, from the log's files."""
    begun = time.perf_counter()
    DeltaTable(str(folder))
    return time.perf_counter() - begun


def _last_checkpoint(folder: Path) -> int:
    file = folder / LOG_FOLDER / "_last_checkpoint"
    return int(json.loads(file.read_text())["version"]) if file.exists() else -1
