"""`python -m crypto_pipeline.embedded [service ...]`: some services until Ctrl-C, to develop on."""

from __future__ import annotations

import signal
import sys

from rich.console import Console

from crypto_pipeline import settings
from crypto_pipeline.embedded import preflight, up_lock
from crypto_pipeline.embedded.running import services
from crypto_pipeline.errors import PipelineError


def main() -> None:
    console = Console()
    names = sys.argv[1:] or ["broker", "spark"]
    values = settings.load()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        preflight.check_folder(values)
        with services(values, names, console=console), up_lock.hold(values):
            console.print(f"Running: {', '.join(names)}. Ctrl-C stops.")
            signal.pause()
    except KeyboardInterrupt:
        console.print("Stopped.")
    except PipelineError as error:
        console.print(str(error))
        sys.exit(2)


if __name__ == "__main__":
    main()
