"""The Spark server of a pod, whose lease has short terms: `python -m …`."""

from __future__ import annotations

import sys

from crypto_pipeline.cluster import spark_server
from crypto_pipeline.embedded import spark_guard
from crypto_pipeline_tests.embedded.guarded import TERMS


def main() -> int:
    spark_guard.Terms = lambda: TERMS  # type: ignore[assignment, misc]
    return spark_server.main()


if __name__ == "__main__":
    sys.exit(main())
