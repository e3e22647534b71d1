"""A table's `_delta_log` as its life and Delta's own clean-up have left it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from crypto_pipeline.lake.table import PROPERTIES
from crypto_pipeline.maintenance.table_files import LOG_FOLDER, VACUUMED_PROPERTY
from crypto_pipeline_tests.fabricated import checksum
from crypto_pipeline_tests.fabricated.actions import Actions
from crypto_pipeline_tests.fabricated.checkpoint import Checkpoints
from crypto_pipeline_tests.fabricated.life import LOG_DAYS, DataFile, Entry, Life, milliseconds
from crypto_pipeline_tests.fabricated.spark_files import write
from crypto_pipeline_tests.fabricated.words import text

CHECKPOINT_EVERY = int(PROPERTIES["delta.checkpointInterval"])
# A checkpoint is written when its version is there.
AFTER_MS = 300


def lay(folder: Path, actions: Actions) -> None:
    """Write every file of the log: versions, their sums, checkpoints and the last one's name."""
    life, log = actions.life, folder / LOG_FOLDER
    (log / "_staged_commits").mkdir(parents=True)
    checkpoints = Checkpoints(actions, life.dead)
    lines: dict[str, str] = {}
    before = 0
    for entry, files in states(life):
        lines = {file.path: lines.get(file.path) or _line(actions, file) for file in files}
        name = f"{entry.version:020d}"
        write(log / f"{name}.json", actions.lines(entry).encode(), at=entry.at)
        told = checksum.content(actions, entry, files, list(lines.values()), before=before)
        write(log / f"{name}.crc", told.encode(), at=entry.at)
        before = len(files)
        if is_checkpoint(entry):
            _checkpoint(log, checkpoints, entry, files)
    if VACUUMED_PROPERTY in life.noted:
        write(log / "_last_vacuum_info", b"{}\n", at=life.entries[-1].at)


def states(life: Life) -> Iterator[tuple[Entry, list[DataFile]]]:
    """Each version that the log still has, with the files that the table then had."""
    kept = cleaned(life.entries)
    begin = kept[0].at
    files = {
        file.path: file
        for file in [*life.dead, *life.all_files()]
        if file.at < begin and (file.removed_at is None or file.removed_at >= begin)
    }
    for entry in kept:
        for file in entry.removed:
            del files[file.path]
        files |= {file.path: file for file in entry.added}
        yield entry, list(files.values())


def cleaned(entries: Sequence[Entry]) -> Sequence[Entry]:
    """What the clean-up of the newest checkpoint leaves: it removes whole days that are too old.

    Of those it leaves the newest checkpoint, and what comes after it.
    """
    checkpoints = [entry for entry in entries if is_checkpoint(entry)]
    if not checkpoints:
        return entries
    last = datetime.fromtimestamp(checkpoints[-1].at / 1000, UTC)
    midnight = (last - LOG_DAYS).replace(hour=0, minute=0, second=0, microsecond=0)
    old = [entry.version for entry in checkpoints if entry.at <= milliseconds(midnight)]
    first = old[-1] if old else entries[0].version
    return [entry for entry in entries if entry.version >= first]


def is_checkpoint(entry: Entry) -> bool:
    return entry.version > 0 and entry.version % CHECKPOINT_EVERY == 0


def _checkpoint(
    log: Path, checkpoints: Checkpoints, entry: Entry, files: Sequence[DataFile]
) -> None:
    at = entry.at + AFTER_MS
    rows = checkpoints.rows(entry, files)
    content = checkpoints.content(rows)
    write(log / f"{entry.version:020d}.checkpoint.parquet", content, at=at)
    told = checkpoints.last(entry, rows, files=len(files), size=len(content))
    write(log / "_last_checkpoint", told.encode(), at=at)


def _line(actions: Actions, file: DataFile) -> str:
    """A file in a version's sums; one that a compaction made has tags there, if none."""
    tags: dict[str, dict[str, str]] = {"tags": {}} if file.last > file.first else {}
    return text(actions.add(file) | tags)
