"""Fetch locked jars before anything runs: `make test` and an image's build need no more.

python -m crypto_pipeline.embedded.fetch_jars                          all, into the user's cache
python -m crypto_pipeline.embedded.fetch_jars --into DIR spark s3      two groups, into a folder

`--lock` names another file of locked jars.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from crypto_pipeline.embedded import jars
from crypto_pipeline.errors import PipelineError


def main(arguments: list[str] | None = None) -> int:
    """Exit code 2 and a sentence when a jar could not be had; what arrived is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path)
    parser.add_argument("--lock", type=Path, default=jars.LOCK_FILE)
    parser.add_argument("groups", nargs="*")
    asked = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        locked = jars.read_lock(asked.lock)
        wanted = [jar for jar in locked if not asked.groups or jar.group in asked.groups]
        if asked.into is None:
            jars.fill_cache(wanted, console=console)
        else:
            jars.install(wanted, asked.into, console=console)
    except PipelineError as error:
        console.print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
