"""A warm process of Polars, beside which Spark is measured; it ends with its block."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crypto_pipeline.embedded.launch import PROJECT_ROOT
from crypto_pipeline.settings import process_environment
from crypto_pipeline_tests.benchmarks import engine_polars
from crypto_pipeline_tests.benchmarks.engine_tables import Task


@dataclass
class PolarsProcess:
    """Takes one request after the other; `peak_mebibytes` is the most that it ever held."""

    process: subprocess.Popen[str]
    peak_mebibytes: float = 0.0

    def run(self, task: Task, *, source: Path, target: Path) -> float:
        """Seconds of the work, by the process's own clock."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = {"task": task.name, "source": str(source), "target": str(target)}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        told = json.loads(self.process.stdout.readline())
        self.peak_mebibytes = told["peak_mebibytes"]
        return float(told["seconds"])


@contextmanager
def polars_process(*, threads: int) -> Iterator[PolarsProcess]:
    """Of Polars' own threads so many; delta-rs takes what the machine has."""
    with subprocess.Popen(
        [sys.executable, "-m", engine_polars.__name__],
        cwd=PROJECT_ROOT,
        env={**process_environment(), "POLARS_MAX_THREADS": str(threads)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield PolarsProcess(process)
        finally:
            process.kill()
