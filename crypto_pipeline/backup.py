"""`crypto-pipeline backup` and `restore`: the lake's tables at pinned versions, with sums.

A backup is consistent while the pipeline runs. Versions are pinned from the end of the pipeline to
its beginning, so no table has read what the backup of its input lacks; files of a pinned version
are never changed, and not removed for two days. Restored, each stage goes on from its own range.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from crypto_pipeline.errors import LakeError
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import TABLES
from crypto_pipeline.stream.durable import write_durably
from crypto_pipeline.version import VERSION

FORMAT = 1
MANIFEST = "backup.json"
LOG = "_delta_log"
# A commit, a checkpoint (whole or in parts) and a checksum begin with their version.
LOG_FILE = re.compile(r"(\d{20})\.[\w.]+")
CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """One table at one version, and the files of it relative to the lake, data before log."""

    key: str
    version: int
    files: tuple[str, ...]


def backup(settings: Settings, folder: Path, *, now: datetime | None = None) -> dict[str, Any]:
    """Copy the lake into an empty folder; the manifest comes last, so half a backup has none."""
    root = _local(settings.lake_root)
    if folder.exists() and any(folder.iterdir()):
        raise LakeError(f"{folder} is not empty. Give a folder that is not there yet, or empty.")
    tables = list(pin(root))
    if not tables:
        raise LakeError(f"There are no tables in {root}: nothing to back up.")
    sums = {}
    for table in tables:
        for name in table.files:
            sums[name] = copy(root / name, folder / name)
    manifest = {
        "format": FORMAT,
        "market": settings.market,
        "code_version": VERSION,
        "made_at": (now or datetime.now(UTC)).isoformat(),
        "tables": {table.key: table.version for table in tables},
        "sha256": sums,
    }
    write_durably(folder / MANIFEST, json.dumps(manifest, indent=1).encode())
    return manifest


def restore(settings: Settings, folder: Path) -> dict[str, Any]:
    """Check every sum, then put the tables where LAKE_ROOT says, which must hold none."""
    root = _local(settings.lake_root)
    manifest = read_manifest(folder)
    if manifest["market"] != settings.market:
        raise LakeError(
            f"The backup in {folder} holds {manifest['market']} data, this is MARKET="
            f"{settings.market}. Set MARKET to the backup's own."
        )
    if root.exists() and any(root.iterdir()):
        raise LakeError(
            f"{root} is not empty. Stop the pipeline and move it away, or set LAKE_ROOT to a "
            "folder that is not there yet."
        )
    check(folder, manifest)
    for name in manifest["sha256"]:
        copy(folder / name, root / name)
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
    return manifest


def pin(root: Path) -> Iterator[Pinned]:
    """Every table that is there, the last of the pipeline first, the primary before its sides."""
    for table in reversed(TABLES):
        try:
            opened = DeltaTable(str(root / table.key))
        except TableNotFoundError:
            continue
        version = opened.version()
        yield Pinned(
            key=table.key,
            version=version,
            files=tuple(f"{table.key}/{name}" for name in _files(root / table.key, opened)),
        )


def copy(source: Path, target: Path) -> str:
    """Copy a file and return the sum of what was read; the copy is compared with it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    total = sum_of(source)
    if sum_of(target) != total:
        raise LakeError(f"The copy of {source} differs from it. Check the disk of {target.parent}.")
    return total


def sum_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _files(folder: Path, opened: DeltaTable) -> Sequence[str]:
    """Live data files of the pinned version, then its log; later commits are not of it."""
    actions = pa.table(opened.get_add_actions(flatten=True))
    data = [unquote(name) for name in actions.column("path").to_pylist()]
    logs = sorted(
        f"{LOG}/{file.name}"
        for file in (folder / LOG).iterdir()
        if (found := LOG_FILE.fullmatch(file.name)) and int(found[1]) <= opened.version()
    )
    return [*sorted(data), *logs]


def _local(root: str) -> Path:
    if "://" in root:
        raise LakeError(
            f"LAKE_ROOT is {root}. This copies folders only: use the store's own versions and "
            "copies, stage by stage from the last to the first."
        )
    return Path(root)
