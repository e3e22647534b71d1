"""The lake's tables at pinned versions, with sums, into a folder and back.

A backup is consistent while the pipeline runs. Versions are pinned from the end of the pipeline to
its beginning, so no table has read what the backup of its input lacks; files of a pinned version
are never changed, and not removed for two days. Restored, each stage goes on from its own range.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable

from crypto_pipeline import formats
from crypto_pipeline.backup.place import Place, place, sum_of
from crypto_pipeline.errors import LakeError
from crypto_pipeline.lake.opening import open_delta
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import TABLES
from crypto_pipeline.stream.durable import write_durably
from crypto_pipeline.version import VERSION

# Of the backup itself; that of the tables in it is beside it.
FORMAT = 1
MANIFEST = "backup.json"
LOG = "_delta_log"
# A commit, a checkpoint (whole or in parts) and a checksum begin with their version.
LOG_FILE = re.compile(r"(\d{20})\.[\w.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """One table at one version, and the files of it relative to the lake, data before log."""

    key: str
    version: int
    format: int
    files: tuple[str, ...]


def backup(settings: Settings, folder: Path, *, now: datetime | None = None) -> dict[str, Any]:
    """Copy the lake into an empty folder; the manifest comes last, so half a backup has none."""
    if folder.exists() and any(folder.iterdir()):
        raise LakeError(f"{folder} is not empty. Give a folder that is not there yet, or empty.")
    source = place(settings)
    tables = list(pin(settings.lake_root, source))
    if not tables:
        raise LakeError(f"There are no tables in {settings.lake_root}: nothing to back up.")
    sums = {}
    for table in tables:
        for name in table.files:
            sums[name] = source.fetch(name, folder / name)
    manifest = {
        "format": FORMAT,
        "table_format": max(table.format for table in tables),
        "market": settings.market,
        "code_version": VERSION,
        "made_at": (now or datetime.now(UTC)).isoformat(),
        "tables": {table.key: table.version for table in tables},
        "sha256": sums,
    }
    write_durably(folder / MANIFEST, json.dumps(manifest, indent=1).encode())
    return manifest


def restore(settings: Settings, folder: Path) -> dict[str, Any]:
    """Check every sum, then put the tables where LAKE_ROOT says, which must hold nothing."""
    target = place(settings)
    manifest = read_manifest(folder)
    if manifest["market"] != settings.market:
        raise LakeError(
            f"The backup in {folder} holds {manifest['market']} data, this is MARKET="
            f"{settings.market}. Set MARKET to the backup's own."
        )
    if not target.is_empty():
        raise LakeError(
            f"{settings.lake_root} is not empty. Stop the pipeline and move it away, or set "
            "LAKE_ROOT to a place where nothing is yet."
        )
    check(folder, manifest)
    for name in manifest["sha256"]:
        target.put(name, folder / name)
    return manifest


def check(folder: Path, manifest: dict[str, Any]) -> None:
    """Compare every file with its sum; raises LakeError that names the first that differs."""
    for name, expected in manifest["sha256"].items():
        path = folder / name
        if not path.is_file():
            raise LakeError(f"The backup in {folder} lacks {name}. Nothing was restored.")
        if sum_of(path) != expected:
            raise LakeError(f"{name} in {folder} is damaged (SHA-256). Nothing was restored.")


def read_manifest(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
    if not file.is_file():
        raise LakeError(
            f"There is no {MANIFEST} in {folder}: no backup, or one that was cut short."
        )
    manifest: dict[str, Any] = json.loads(file.read_text())
    if manifest["format"] > FORMAT:
        raise LakeError(
            f"The backup in {folder} has format {manifest['format']}, this version knows {FORMAT}. "
            f"Use crypto-pipeline {manifest['code_version']} or newer."
        )
    formats.refuse_newer(f"The lake in {folder}", manifest.get("table_format", 0))
    return manifest


def pin(root: str, source: Place) -> Iterator[Pinned]:
    """Every table that is there, the last of the pipeline first, the primary before its sides.

    One of an older format is taken as well: this is what is made before a migration.
    """
    for table in reversed(TABLES):
        opened = open_delta(f"{root.rstrip('/')}/{table.key}")
        if opened is None:
            continue
        number = formats.of_table(opened.metadata().configuration)
        formats.refuse_newer(f"Table {table.key} in {root}", number)
        yield Pinned(
            key=table.key,
            version=opened.version(),
            format=number,
            files=tuple(f"{table.key}/{name}" for name in _files(table.key, opened, source)),
        )


def _files(key: str, opened: DeltaTable, source: Place) -> Sequence[str]:
    """Live data files of the pinned version, then its log; later commits are not of it."""
    actions = pa.table(opened.get_add_actions(flatten=True))
    data = [unquote(name) for name in actions.column("path").to_pylist()]
    logs = sorted(
        f"{LOG}/{name}"
        for name in source.names(f"{key}/{LOG}")
        if (found := LOG_FILE.fullmatch(name)) and int(found[1]) <= opened.version()
    )
    return [*sorted(data), *logs]
