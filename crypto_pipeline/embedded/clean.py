"""`make clean`: remove the state folder, after asking, and nothing that we did not put there."""

from __future__ import annotations

import shutil
import sys

from rich.console import Console
from rich.prompt import Confirm

from crypto_pipeline import settings as settings_module
from crypto_pipeline.embedded import up_lock
from crypto_pipeline.errors import MachineError, PipelineError
from crypto_pipeline.settings import Settings

# STATE_DIR may name a folder that holds other things too, a home folder at worst.
OURS = (
    *("jars", "spark-local", "live", "simulated", "recorded"),
    *("current.json", "running.json", "running.part", "spark-token", "up.lock"),
)


def main() -> int:
    console = Console()
    try:
        return clean(settings_module.load(), console=console)
    except PipelineError as error:
        console.print(str(error))
        return 2


def clean(settings: Settings, *, console: Console) -> int:
    folder = settings.state_dir
    if not folder.exists():
        console.print(f"Nothing to remove: {folder} does not exist.")
        return 0
    if up_lock.is_held(settings):
        raise MachineError("`make up` runs in this folder. Stop it with Ctrl-C first.")
    if not Confirm.ask(f"Remove {folder} with all tables, topics and logs?", default=False):
        console.print("Nothing was removed.")
        return 0
    for name in OURS:
        entry = folder / name
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
    if any(folder.iterdir()):
        console.print(f"Removed. Other things in {folder} were left alone.")
    else:
        folder.rmdir()
        console.print("Removed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
