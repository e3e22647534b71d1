"""`crypto-pipeline status`: what runs, how far each stage is, and what takes how much disk.

Read from ports, logs and folders: neither Spark nor a broker is asked, so it answers when they
do not.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid

from crypto_pipeline.backfill.ledger import open_minutes
from crypto_pipeline.bronze.schema import POLLS, REJECTED
from crypto_pipeline.contract.topic import TOPICS
from crypto_pipeline.lake.rows import read_days
from crypto_pipeline.maintenance.table_files import TableFiles, inspect_all
from crypto_pipeline.settings import Settings
from crypto_pipeline.silver.schema import GAPS
from crypto_pipeline.stages import BRONZE, STAGES, TABLES
from crypto_pipeline.state_format import refuse_other_state, the_one_kept
from crypto_pipeline.stream.spool import spool_folder
from crypto_pipeline.stream.spool_state import SpoolState, look

GAP_DAYS = timedelta(days=7)
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLag:
    """`behind` is how many batches of its input a stage has not read; None for the first."""

    stage: str
    batch: int
    behind: int | None
    committed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Bytes on disk of a layer or a topic; `live` of them belong to the newest version."""

    name: str
    bytes: int
    live: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    services: dict[str, bool]
    last_poll_at: datetime | None
    stages: tuple[StageLag, ...]
    layers: tuple[Size, ...]
    topics: tuple[Size, ...]
    spool: SpoolState
    open_gaps: int
    rejected: int
    disk_free: int


def read_status(settings: Settings, *, now: datetime | None = None) -> Status:
    """Everything at once; a lake or a broker that is not on this disk has no bytes here."""
    moment = now or datetime.now(UTC)
    root = settings.lake_root.rstrip("/")
    tables = list(inspect_all(root, TABLES))
    gaps = read_days(f"{root}/{GAPS.key}", since=(moment - GAP_DAYS).date())
    return Status(
        services={name: is_listening(port) for name, port in ports(settings).items()},
        last_poll_at=newest_poll(tables),
        stages=tuple(lags(tables)),
        layers=tuple(layer_sizes(tables, root)),
        topics=tuple(topic_sizes(settings.home / "kafka" / "log")),
        spool=look(spool_folder(settings)),
        open_gaps=len(open_minutes(gaps)),
        rejected=sum(files.rows for files in tables if files.table == REJECTED),
        disk_free=shutil.disk_usage(_existing(settings.home)).free,
    )


def ports(settings: Settings) -> dict[str, int]:
    found = {
        "broker": settings.kafka_port,
        "spark": settings.spark_port,
        "simulator": settings.simulator_port,
        "dagster": settings.dagster_port,
        "dashboard": settings.dashboard_port,
        "metrics": settings.metrics_port,
    }
    if settings.market == "live":
        del found["simulator"]
    return found


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def lags(tables: Sequence[TableFiles]) -> Iterator[StageLag]:
    by_key = {files.table.key: files for files in tables}
    for stage in STAGES:
        files = by_key.get(stage.primary.key)
        last = None if files is None else files.committed
        behind = None
        if stage.reads:
            before = by_key.get(stage.reads[0].key)
            made = before.committed.batch if before and before.committed else 0
            behind = made - (int(last.ranges["batches"]["to"]) if last else 0)
        yield StageLag(
            stage=stage.name,
            batch=last.batch if last else 0,
            behind=behind,
            committed_at=files.committed_at if files else None,
        )


def newest_poll(tables: Sequence[TableFiles]) -> datetime | None:
    """The newest poll of bronze's last batch, by the commit's own word; None if it had none."""
    for files in tables:
        if files.table.key == BRONZE.primary.key and files.committed is not None:
            latest = files.committed.outputs.get(POLLS.key, [0, None, None])[2]
            return None if latest is None else datetime.fromtimestamp(latest, tz=UTC)
    return None


def layer_sizes(tables: Sequence[TableFiles], root: str) -> Iterator[Size]:
    for layer in dict.fromkeys(table.layer for table in TABLES):
        own = [files for files in tables if files.table.layer == layer]
        yield Size(
            name=layer,
            bytes=folder_bytes(Path(root, layer)),
            live=sum(files.bytes for files in own),
            rows=sum(files.rows for files in own),
        )


def topic_sizes(folder: Path) -> Iterator[Size]:
    """The embedded broker's folders, one a partition; a broker elsewhere has none here."""
    for topic in TOPICS:
        size = sum(folder_bytes(part) for part in folder.glob(f"{topic.name}-*"))
        yield Size(name=topic.name, bytes=size, live=size, rows=0)


def folder_bytes(folder: Path) -> int:
    """Sum of file sizes; files that go away meanwhile count nothing."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def print_status(settings: Settings, console: Console) -> int:
    """Exit code 0 when all services listen, 1 when one does not."""
    settings = the_one_kept(settings)
    refuse_other_state(settings)
    now = datetime.now(UTC)
    status = read_status(settings, now=now)
    console.print(_services(status))
    console.print(_stages(status, now))
    console.print(_sizes("Layers", status.layers))
    console.print(_sizes("Topics", status.topics))
    polled = "never" if status.last_poll_at is None else _age(now - status.last_poll_at)
    console.print(f"Last poll in the lake: {polled}")
    spool = status.spool
    console.print(f"Spool: {spool.polls} polls, {spool.bytes:,} bytes; torn files: {spool.torn}")
    console.print(f"Minutes missing, last 7 days: {status.open_gaps}")
    console.print(f"Rejected rows in the lake: {status.rejected:,}")
    console.print(f"Disk free: {status.disk_free / MEGABYTE / 1000:,.1f} GB")
    return 0 if all(status.services.values()) else 1


def _services(status: Status) -> Grid:
    grid = Grid("service", "listens", title="Services")
    for name, is_up in status.services.items():
        grid.add_row(name, "yes" if is_up else "no")
    return grid


def _stages(status: Status, now: datetime) -> Grid:
    grid = Grid("stage", "batch", "batches behind", "last commit", title="Stages")
    for one in status.stages:
        age = "never" if one.committed_at is None else _age(now - one.committed_at)
        grid.add_row(
            one.stage, f"{one.batch:,}", "" if one.behind is None else str(one.behind), age
        )
    return grid


def _sizes(title: str, sizes: Sequence[Size]) -> Grid:
    grid = Grid("name", "MB on disk", "MB live", "rows", title=title)
    for one in sizes:
        rows = f"{one.rows:,}" if one.rows else ""
        grid.add_row(one.name, f"{one.bytes / MEGABYTE:,.1f}", f"{one.live / MEGABYTE:,.1f}", rows)
    return grid


def _age(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    return f"{seconds} s ago" if seconds < 120 else f"{seconds // 60} min ago"


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)
