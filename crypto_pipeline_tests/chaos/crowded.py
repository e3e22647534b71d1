"""The simulator with a venue of CHAOS_PAIRS pairs, in place of the simulator itself."""

from __future__ import annotations

import os
import sys
from functools import partial

from crypto_pipeline.simulator import __main__ as simulator
from crypto_pipeline.simulator import start
from crypto_pipeline.simulator.crowd import CrowdMarket

VARIABLE = "CHAOS_PAIRS"


def main() -> int:
    start.CrowdMarket = partial(CrowdMarket, count=int(os.environ[VARIABLE]))
    return simulator.main()


if __name__ == "__main__":
    sys.exit(main())
