"""Lay down a lake with a past: `python -m crypto_pipeline_tests.fabricated --lake FOLDER`

    --minutes N    of history, up to now (43,200: a month)
    --symbols S    of the market (20)
    --topics       end where the topics of the settings' broker end now, so that cycles go on

Prints what the lake then consists of.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from crypto_pipeline import settings as settings_module
from crypto_pipeline.stream.ranges import read_ends
from crypto_pipeline_tests.fabricated.describe import describe
from crypto_pipeline_tests.fabricated.fabricate import fabricate
from crypto_pipeline_tests.fabricated.history import no_topics
from crypto_pipeline_tests.topics import NAMES


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lake", type=Path, required=True)
    parser.add_argument("--minutes", type=int, default=43_200)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--topics", action="store_true")
    given = parser.parse_args(arguments)
    now, begun = datetime.now(UTC), time.perf_counter()
    ends = read_ends(settings_module.load(), NAMES) if given.topics else no_topics()
    fabricate(given.lake, minutes=given.minutes, symbols=given.symbols, ends=ends, now=now)
    print(f"laid down in {time.perf_counter() - begun:.0f} s")  # noqa: T201 - a command's output
    for table in describe(given.lake, today=now.date()).values():
        print(table)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
