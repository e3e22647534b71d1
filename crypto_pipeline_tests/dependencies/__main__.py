"""`python -m crypto_pipeline_tests.dependencies`: known vulnerabilities of all that is locked.

    --database URL       another database of OSV's protocol

It needs a network, so it is no test. 0: nothing that is not waived; 1: a line a finding, an
overdue waiver or one that waives nothing; 2: the database could not be asked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from crypto_pipeline.errors import MachineError
from crypto_pipeline_tests.dependencies.advisories import DATABASE, Database
from crypto_pipeline_tests.dependencies.locked import locked
from crypto_pipeline_tests.dependencies.waivers import judged, read_waivers


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", default=DATABASE)
    given = parser.parse_args(arguments)
    packages, unknown = locked()
    waivers = read_waivers()
    try:
        advisories = Database(url=given.database.rstrip("/")).of(packages)
    except MachineError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command's output
        return 2
    lines = judged(advisories, waivers, today=datetime.now(UTC).date())
    for line in lines:
        print(line)  # noqa: T201 - a command's output
    print(  # noqa: T201 - a command's output
        f"{len(packages)} packages, {len(advisories)} known vulnerabilities, "
        f"{len(waivers)} waivers, {len(lines)} lines above. "
        f"Not asked about: {', '.join(unknown) or 'none'}."
    )
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
