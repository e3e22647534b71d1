"""Fetch every locked jar into the user's cache before anything runs: `make test` needs no more."""

from __future__ import annotations

import sys

from rich.console import Console

from crypto_pipeline.embedded import jars
from crypto_pipeline.errors import PipelineError


def main() -> int:
    """Exit code 2 and a sentence when a jar could not be had; what arrived is kept."""
    console = Console(stderr=True)
    try:
        jars.fill_cache(jars.read_lock(), console=console)
    except PipelineError as error:
        console.print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
