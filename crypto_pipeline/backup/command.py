"""`crypto-pipeline backup` and `restore`, a line each."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from crypto_pipeline.backup.lake_backup import backup, restore
from crypto_pipeline.embedded import up_lock
from crypto_pipeline.errors import MachineError
from crypto_pipeline.settings import Settings
from crypto_pipeline.state_format import the_one_kept


def backup_command(settings: Settings, console: Console, folder: Path) -> int:
    made = backup(the_one_kept(settings), folder)
    console.print(f"{len(made['tables'])} tables, {len(made['sha256'])} files in {folder}.")
    return 0


def restore_command(settings: Settings, console: Console, folder: Path) -> int:
    if up_lock.is_held(settings):
        raise MachineError("`make up` runs in this folder. Stop it with Ctrl-C first.")
    found = restore(the_one_kept(settings), folder)
    console.print(f"{len(found['tables'])} tables of {found['made_at']} are back.")
    return 0
