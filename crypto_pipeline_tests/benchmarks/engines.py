"""The pipeline's Spark beside Polars with delta-rs: `python -m …benchmarks.engines`.

    --rows N …    sizes of the input (10,000, 1,000,000, 10,000,000)
    --pairs N     measured of each task and size (5)

Three tasks of the pipeline, from the same files into tables made alike: a batch of ticks is
appended; each id is taken once, and of each minute its last tick; the measures of `gold/volatility`
are computed for the newest minute over a day of candles. The results are compared. Spark is the
laptop's server, warm, with a session and the commit of the pipeline's; Polars is a warm process
with as many threads as that server has cores. Each task and size has processes of its own, so that
the memory told is that task's. Ten million rows take some 5 GB of temporary disk.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from crypto_pipeline.embedded.spark_server import CORES, HEAP
from crypto_pipeline_tests.benchmarks.curves import Panel, draw_curves
from crypto_pipeline_tests.benchmarks.engine_rounds import Compared, compare
from crypto_pipeline_tests.benchmarks.engine_rows import lay_down
from crypto_pipeline_tests.benchmarks.engine_tables import TASKS
from crypto_pipeline_tests.benchmarks.figure import FOLDER, Figure, Loop, fixed_loop, keep

SIZES = (10_000, 1_000_000, 10_000_000)
PAIRS = 5
LABELS = ("Polars and delta-rs", "Spark")
PACKAGES = ("polars", "deltalake", "pyspark")


def figures(found: Sequence[Compared]) -> list[Figure]:
    """Seconds of each, and the memory, which is one value each."""
    names = [f"{one.task}, {one.rows:,} rows" for one in found]
    return [
        *(Figure(name=n, unit="s", pairs=one.seconds) for n, one in zip(names, found, strict=True)),
        *(
            Figure(name=f"{name}, most memory", unit="MiB", pairs=[one.memory])
            for name, one in zip(names, found, strict=True)
        ),
    ]


def panels(found: Sequence[Compared]) -> list[Panel]:
    """Of each task its seconds over its rows, and below them its memory."""
    drawn = []
    for up in ("s", "MiB"):
        for task in TASKS:
            points = {
                one.rows: one.seconds if up == "s" else [one.memory]
                for one in found
                if one.task == task.name
            }
            drawn.append(Panel(title=task.name, across="rows", up=up, points=points, labels=LABELS))
    return drawn


def measure(sizes: Sequence[int], *, pairs: int) -> list[Compared]:
    found = []
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            lay_down(Path(folder), rows)
            for task in TASKS:
                found.append(compare(task, rows=rows, inputs=Path(folder), pairs=pairs))
    return found


def more() -> dict[str, Any]:
    return {
        "bare": LABELS[0],
        "ours": LABELS[1],
        "versions": {name: version(name) for name in PACKAGES},
        "threads": CORES,
        "spark_java": list(HEAP),
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--pairs", type=int, default=PAIRS)
    given = parser.parse_args(arguments)
    begin = fixed_loop()
    found = measure(given.rows, pairs=given.pairs)
    is_kept = keep(
        "engines",
        figures(found),
        loop=Loop(begin=begin, end=fixed_loop()),
        more=more(),
        plot=lambda: draw_curves(FOLDER / "engines.svg", panels(found)),
    )
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
