"""Dagster's code server, whose runs are forks of a process that has imported everything.

    python -m crypto_pipeline.resources.code_server -h 127.0.0.1 -p 4266 …

Dagster starts each run in a new interpreter, and the imports alone take longer than the first
stages of a minute. All else, options included, is Dagster's own `dagster api grpc`.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Sequence
from multiprocessing import forkserver
from typing import Any

from dagster._cli.api import grpc_command
from dagster._grpc import server

# Modules of a cycle, of Dagster's instance, and of this module, which a new process imports again.
# None of them starts a thread or opens a channel when it is imported.
IMPORTED_BEFORE = (
    "crypto_pipeline.definitions",
    "crypto_pipeline.pipeline",
    "crypto_pipeline.resources.event_log",
    "crypto_pipeline.resources.run_queue",
    "dagster._cli.api",
    "dagster._core.execution.api",
    "dagster._core.instance.factory",
    "upath.implementations.local",
    "pyspark.sql.connect.session",
    "pyspark.sql.connect.functions",
    "deltalake",
    "pyarrow.compute",
    "pandas",
)


class ForkedRuns(server.DagsterApiServer):
    """Starts runs by the fork server instead of a new interpreter."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._mp_ctx: Any = multiprocessing.get_context("forkserver")


def main(arguments: Sequence[str]) -> None:
    # Elsewhere than on Linux a fork of a process with Apple's libraries in it may crash.
    if sys.platform == "linux":
        multiprocessing.get_context("forkserver").set_forkserver_preload(list(IMPORTED_BEFORE))
        forkserver.ensure_running()
        server.DagsterApiServer = ForkedRuns  # type: ignore[misc,assignment]
    grpc_command.main(args=list(arguments), prog_name="code-server")


if __name__ == "__main__":
    main(sys.argv[1:])
