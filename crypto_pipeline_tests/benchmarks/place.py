"""Where a benchmark's servers live: a folder and ports of its own, which end with it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crypto_pipeline import settings as settings_module
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.conftest import PORT_NAMES, free_port


@contextmanager
def place(**options: str) -> Iterator[Settings]:
    """Settings by name over those of a new simulated market; this process's environment too."""
    with tempfile.TemporaryDirectory() as folder:
        ports = {name: str(free_port()) for name in PORT_NAMES}
        values = {"STATE_DIR": folder, "MARKET": "simulated", **ports, **options}
        settings = settings_module.load(values, env_file=Path(folder) / "no.env")
        os.environ.update(values)
        yield settings
