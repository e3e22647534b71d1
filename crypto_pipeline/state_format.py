"""The mark of a state folder: which format its spool, broker log and Dagster's database have."""

from __future__ import annotations

import json
from pathlib import Path

from crypto_pipeline import formats
from crypto_pipeline.settings import Settings
from crypto_pipeline.stream.durable import write_durably
from crypto_pipeline.version import VERSION

FILE = "format.json"
# What makes a folder one that is in use. The rest of it is made anew where it is missing.
HOLDS = ("spool", "kafka", "dagster")


def found(settings: Settings) -> int | None:
    """Its format; 0 without a mark, None where nothing is kept yet.

    The mark is written first, so it is looked for last: another process may just be beginning.
    """
    is_in_use = any((settings.home / name).exists() for name in HOLDS)
    file = _file(settings)
    if file.exists():
        return int(json.loads(file.read_text())["format"])
    return 0 if is_in_use else None


def refuse_other_state(settings: Settings) -> None:
    """Raises FormatError with both numbers and the remedy."""
    number = found(settings)
    if number is not None:
        formats.refuse_other(f"The state in {settings.home}", number)


def open_state(settings: Settings) -> None:
    """For who is about to write there: refuse another format, mark a folder that is new."""
    refuse_other_state(settings)
    if found(settings) is None:
        mark(settings, formats.FORMAT)


def mark(settings: Settings, number: int) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    content = {"format": number, "code_version": VERSION}
    write_durably(_file(settings), json.dumps(content).encode())


def _file(settings: Settings) -> Path:
    return settings.home / FILE
