"""How large a file of so many minutes is, from a few that are made for it.

The files that stay are made, and have their own size; of those that were compacted since, of
which there are a hundred times as many, the log has only to say one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crypto_pipeline_tests.fabricated.rows import CHUNK

MINUTES = (1, 8, 30, 120, 600, CHUNK)
Make = Callable[[str, str, int, int], bytes]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Bytes by minutes, by table and topic."""

    known: dict[tuple[str, str], tuple[list[int], list[int]]]

    def of(self, key: str, topic: str, minutes: int) -> int:
        made, sizes = self.known[key, topic]
        return int(np.interp(minutes, made, sizes))


def measured(parts: list[tuple[str, str]], *, minutes: int, make: Make) -> Sizes:
    """From files of the newest minutes; `make` gives the bytes of those of a table and topic."""
    counts = [count for count in MINUTES if count <= minutes]
    return Sizes(
        known={
            (key, topic): (
                counts,
                [len(make(key, topic, minutes - count + 1, minutes)) for count in counts],
            )
            for key, topic in parts
        }
    )
