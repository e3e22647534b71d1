"""`python -m crypto_pipeline.simulator`: serve the market of the settings on the loopback."""

from __future__ import annotations

import sys

import uvicorn

from crypto_pipeline import settings
from crypto_pipeline.errors import PipelineError
from crypto_pipeline.simulator.start import build_app


def main() -> int:
    try:
        values = settings.load()
        app = build_app(values)
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    uvicorn.run(app, host="127.0.0.1", port=values.simulator_port, log_level="warning")
    return 0


if __name__ == "__main__":
    sys.exit(main())
