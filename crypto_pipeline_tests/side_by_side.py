"""Which tests may run beside each other: those of one folder, or of the one Spark server, may not.

The tests of a folder share its servers, and most tests of the lake the session's one broker and
Spark server, whose start and warming take longer than most of them.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent
# A test or fixture that asks for the session's Spark server, by any of the names it goes under.
SHARES_SPARK = re.compile(r"def \w+\(\s*[^)]*\b(?:spark|servers|lake|runner|books)\b: ")


@cache
def turn(path: str) -> str:
    """The name of what the tests of a file take in turn, of a path below the project's root."""
    if SHARES_SPARK.search((ROOT / path).read_text()):
        return "spark"
    return str(Path(path).parent)


class InTurns(LoadScopeScheduling):
    """Gives a whole turn to one of the two processes that run the tests."""

    def _split_scope(self, nodeid: str) -> str:
        return turn(nodeid.partition("::")[0])
