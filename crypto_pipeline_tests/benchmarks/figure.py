"""Figures as ratios against a bare reference of the same run, and where they are kept.

The machines are noisy, so both sides are measured in turn and compared pair by pair. A run in
which a fixed loop of Python drifts by more than DRIFT is void.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from crypto_pipeline_tests.proof import code_version

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "benchmarks"
DRIFT = 0.25
LOOP = 3_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measure: pairs of (bare, ours); `limit` and `least` are of the ratio, `most` of ours."""

    name: str
    unit: str
    pairs: Sequence[tuple[float, float]]
    limit: float | None = None
    least: float | None = None
    most: float | None = None

    @property
    def bare(self) -> float:
        return statistics.median(bare for bare, _ in self.pairs)

    @property
    def ours(self) -> float:
        return statistics.median(ours for _, ours in self.pairs)

    @property
    def ratio(self) -> float:
        return statistics.median(ours / bare for bare, ours in self.pairs)

    @property
    def holds(self) -> bool:
        return (
            (self.limit is None or self.ratio <= self.limit)
            and (self.least is None or self.ratio >= self.least)
            and (self.most is None or self.ours <= self.most)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Seconds of the fixed loop at the beginning and at the end of a run."""

    begin: float
    end: float

    @property
    def drift(self) -> float:
        return abs(self.end / self.begin - 1)

    @property
    def is_void(self) -> bool:
        return self.drift > DRIFT


def fixed_loop() -> float:
    """Seconds that this machine takes for a loop that never changes; the best of five."""
    return min(_loop() for _ in range(5))


def _loop() -> float:
    started = time.perf_counter()
    total = 0
    for number in range(LOOP):
        total += number * number
    return time.perf_counter() - started


def machine() -> str:
    """What the figures were measured on, without the machine's name."""
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def keep(
    name: str,
    figures: Sequence[Figure],
    *,
    loop: Loop,
    more: dict[str, Any],
    plot: Callable[[], None] | None = None,
) -> bool:
    """Print and write the figures; a void run is said, and not written. True when all hold.

    `plot` draws NAME.svg where the plot of pairs beside each other does not suit.
    """
    console = Console(highlight=False)
    console.print(_grid(name, figures))
    console.print(f"The fixed loop: {loop.begin:.3f} s, then {loop.end:.3f} s.")
    if loop.is_void:
        console.print(f"Void: the machine drifted by {loop.drift:.0%}. Nothing was written.")
        return False
    FOLDER.mkdir(parents=True, exist_ok=True)
    content = {
        "benchmark": name,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "code": code_version(()),
        "machine": machine(),
        "loop": {"seconds": [round(loop.begin, 4), round(loop.end, 4)]},
        "figures": [_told(figure) for figure in figures],
        **more,
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    if plot is None:
        draw(name, figures)
    else:
        plot()
    return all(figure.holds for figure in figures)


def _told(figure: Figure) -> dict[str, Any]:
    medians = {"bare": figure.bare, "ours": figure.ours, "ratio": figure.ratio}
    return {
        **asdict(figure),
        "pairs": [[round(bare, 4), round(ours, 4)] for bare, ours in figure.pairs],
        **{key: round(value, 4) for key, value in medians.items()},
        "holds": figure.holds,
    }


def _grid(name: str, figures: Sequence[Figure]) -> Grid:
    grid = Grid(title=f"{name}, medians of pairs")
    for column in ("what", "bare", "ours", "ratio", "limits"):
        grid.add_column(column, justify="left" if column == "what" else "right")
    for one in figures:
        limits = [f"ratio {one.limit}"] if one.limit else []
        limits += [f"ratio at least {one.least}"] if one.least else []
        limits += [f"{one.most} {one.unit}"] if one.most else []
        grid.add_row(
            f"{one.name}, {one.unit}",
            f"{one.bare:.3f}",
            f"{one.ours:.3f}",
            f"{one.ratio:.2f}",
            ("" if one.holds else "not ") + ", ".join(limits),
        )
    return grid


def draw(name: str, figures: Sequence[Figure]) -> None:
    """Each pair of each figure as a dot, bare beside ours, as `docs/benchmarks/NAME.svg`."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Plot

    mpl.rcParams["svg.hashsalt"] = name
    plot = Plot(figsize=(2.4 * max(2, len(figures)), 3.2), layout="constrained")
    for place, one in enumerate(figures, start=1):
        axes = plot.add_subplot(1, len(figures), place)
        for at, values in enumerate(zip(*one.pairs, strict=True)):
            axes.plot([at] * len(values), values, "o", alpha=0.5, color=f"C{at}")
            axes.hlines(statistics.median(values), at - 0.25, at + 0.25, color=f"C{at}")
        axes.set_xticks([0, 1], ["bare", "ours"])
        axes.set_xlim(-0.6, 1.6)
        axes.set_ylim(0, 1.05 * max(value for pair in one.pairs for value in pair))
        axes.set_title(one.name, fontsize=8)
        axes.set_ylabel(one.unit)
    plot.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})
