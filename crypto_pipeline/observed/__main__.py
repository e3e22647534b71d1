"""`python -m crypto_pipeline.observed`: serve the metrics and the health of ingestion."""

from __future__ import annotations

import sys
import threading

from crypto_pipeline import settings
from crypto_pipeline.errors import PipelineError
from crypto_pipeline.observed.ingestion import Ingestion
from crypto_pipeline.observed.serving import serve


def main() -> int:
    try:
        values = settings.load()
        values.home.mkdir(parents=True, exist_ok=True)
        seen = Ingestion(values)
        host, port = values.metrics_host, values.metrics_port
        with serve(host, port, page=seen.page, health=seen.health):
            threading.Event().wait()
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        # How a person stops it: not a failure.
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
