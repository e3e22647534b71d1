"""What a cycle's seconds and bytes grow with: `python -m …benchmarks.growth`.

    --symbols N …    sizes of the market (20, 360, 3,600)
    --minutes N …    minutes of polls that one cycle takes, of the first size (1, 5, 20)
    --pairs N        cycles of each that are measured (3)

The stack of `benchmarks.cycle`, one a size, each cycle with its bare appends after it. Every lake
is young and without a fetched history. What a long history does is measured by
`benchmarks.history`: its figures are drawn beside these where they are kept.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crypto_pipeline_tests.benchmarks.curves import Pairs, Panel, draw_curves, exponent
from crypto_pipeline_tests.benchmarks.figure import FOLDER, Figure, Loop, fixed_loop, keep
from crypto_pipeline_tests.benchmarks.growing import (
    HISTORY_HOURS,
    VENUE,
    Cycle,
    Growth,
    measure,
    speed_of,
)

SYMBOLS = (20, 360, VENUE)
MINUTES = (1, 5, 20)
PAIRS = 3
# A figure of `benchmarks.history` tells its size in its name.
OF_HISTORY = re.compile(r"a cycle over ([\d,]+) minutes")


def kept_history(file: Path) -> dict[int, Pairs]:
    """By minutes of history, pairs of a new lake's cycle and the old one's; none where no file is.

    `file` is what `benchmarks.history` has kept.
    """
    if not file.exists():
        return {}
    found: dict[int, Pairs] = {}
    for figure in json.loads(file.read_text())["figures"]:
        if size := OF_HISTORY.match(figure["name"]):
            pairs = [(bare, ours) for bare, ours in figure["pairs"]]
            found[int(size[1].replace(",", ""))] = pairs
    return found


def seconds(cycles: Mapping[int, Sequence[Cycle]]) -> dict[int, Pairs]:
    return {size: [one.seconds for one in found] for size, found in cycles.items()}


def written(cycles: Mapping[int, Sequence[Cycle]]) -> dict[int, Pairs]:
    return {size: [one.bytes for one in found] for size, found in cycles.items()}


def panels(found: Growth, history: Mapping[int, Pairs]) -> list[Panel]:
    appends, lakes = ("bare appends", "cycle"), ("new lake", "old lake")
    drawn = [
        ("seconds by symbols", "symbols", "s", seconds(found.symbols), appends),
        ("seconds by minutes in a cycle", "minutes", "s", seconds(found.minutes), appends),
        ("seconds by history", "minutes of history", "s", history, lakes),
        ("bytes by symbols", "symbols", "bytes", written(found.symbols), appends),
        ("bytes by minutes in a cycle", "minutes", "bytes", written(found.minutes), appends),
    ]
    return [
        Panel(title=title, across=across, up=up, points=points, labels=labels)
        for title, across, up, points, labels in drawn
    ]


def figures(found: Growth) -> list[Figure]:
    """Of each size the seconds and the bytes of a cycle, against those of its bare appends."""
    made = []
    for what, cycles in (("symbols", found.symbols), ("minutes in a cycle", found.minutes)):
        for unit, points in (("s", seconds(cycles)), ("bytes", written(cycles))):
            made += [
                Figure(name=f"{size:,} {what}", unit=unit, pairs=pairs)
                for size, pairs in points.items()
            ]
    return made


def more(found: Growth, drawn: Sequence[Panel]) -> dict[str, Any]:
    """An exponent of 1 is growth in step with the size, of 0 none."""
    return {
        "history_hours": HISTORY_HOURS,
        "speeds": {size: speed_of(size) for size in found.symbols},
        "exponents": {one.title: exponent(one.points) for one in drawn},
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, nargs="+", default=list(SYMBOLS))
    parser.add_argument("--minutes", type=int, nargs="+", default=list(MINUTES))
    parser.add_argument("--pairs", type=int, default=PAIRS)
    given = parser.parse_args(arguments)
    begin = fixed_loop()
    found = measure(given.symbols, given.minutes, pairs=given.pairs)
    drawn = panels(found, kept_history(FOLDER / "history.json"))
    is_kept = keep(
        "growth",
        figures(found),
        loop=Loop(begin=begin, end=fixed_loop()),
        more=more(found, drawn),
        plot=lambda: draw_curves(FOLDER / "growth.svg", drawn),
    )
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
