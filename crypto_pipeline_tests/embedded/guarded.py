"""A guard with short terms around a program that only waits: `python -m … FOLDER PROGRAM`."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from crypto_pipeline.embedded import spark_guard
from crypto_pipeline.lake.lease import Terms, take
from crypto_pipeline.lake.lease_store import FolderStore

TERMS = Terms(renew=0.2, expiry=4, longest_request=0.5)


def main() -> int:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    lease = take(
        FolderStore(Path(sys.argv[1])),
        spark_guard.this_process(),
        terms=TERMS,
        is_dead=spark_guard.is_dead,
        say=lambda _: None,
    )
    return spark_guard.guard(lease, [sys.argv[2]], stop)


if __name__ == "__main__":
    sys.exit(main())
