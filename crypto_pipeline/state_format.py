"""The mark of a state folder: which format its spool, broker log and Dagster's database have."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from crypto_pipeline import formats
from crypto_pipeline.contract.message import MARKET_KINDS
from crypto_pipeline.errors import SettingsError
from crypto_pipeline.settings import Settings
from crypto_pipeline.stream.durable import write_durably
from crypto_pipeline.version import VERSION

FILE = "format.json"
# What makes a folder one that is in use. The rest of it is made anew where it is missing.
HOLDS = ("spool", "kafka", "dagster")


def kept(settings: Settings) -> list[Settings]:
    """The settings of the market that is set, else of each that the state folder has."""
    if settings.market != "auto":
        return [settings]
    return [
        replace(settings, market=kind)
        for kind in MARKET_KINDS
        if (settings.state_dir / kind).is_dir()
    ]


def the_one_kept(settings: Settings) -> Settings:
    """For commands about what is there, which need no stack that has decided.

    Raises SettingsError where MARKET is not set and the folder has none or several.
    """
    markets = kept(settings)
    if len(markets) == 1:
        return markets[0]
    has = " and ".join(one.market for one in markets) or "nothing"
    raise SettingsError(
        f"MARKET is not set, and {settings.state_dir} has {has}. Set it to the one that is meant "
        f"({', '.join(MARKET_KINDS)})."
    )


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
