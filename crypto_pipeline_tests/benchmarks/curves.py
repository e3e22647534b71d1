"""What grows with what: pairs over a size, drawn on axes of tens, and their slope there."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Pairs = Sequence[tuple[float, float]]
COLUMNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Pairs of (bare, ours) by size, and what the two are; without any it is not measured yet."""

    title: str
    across: str
    up: str
    points: Mapping[int, Pairs]
    labels: tuple[str, str]

    def medians(self, side: int) -> list[float]:
        return [statistics.median(pair[side] for pair in pairs) for pairs in self.points.values()]


def exponent(points: Mapping[int, Pairs], *, side: int = 1) -> float | None:
    """k where the medians grow as the k-th power of the size; None of fewer than two sizes.

    >>> exponent({10: [(1.0, 3.0)], 100: [(1.0, 30.0)], 1000: [(1.0, 300.0)]})
    1.0
    """
    if len(points) < 2:
        return None
    sizes = [math.log(size) for size in points]
    medians = [math.log(statistics.median(p[side] for p in pairs)) for pairs in points.values()]
    return round(statistics.linear_regression(sizes, medians).slope, 3)


def draw_curves(file: Path, panels: Sequence[Panel]) -> None:
    """Each pair as two dots, the medians of each side as a line."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Plot

    mpl.rcParams["svg.hashsalt"] = file.stem
    rows = -(-len(panels) // COLUMNS)
    plot = Plot(figsize=(3.4 * COLUMNS, 3.0 * rows), layout="constrained")
    for place, panel in enumerate(panels, start=1):
        axes = plot.add_subplot(rows, COLUMNS, place)
        axes.set_title(panel.title, fontsize=9)
        axes.set_xlabel(panel.across)
        axes.set_ylabel(panel.up)
        if panel.points:
            _draw(axes, panel)
        else:
            axes.text(0.5, 0.5, "not measured yet", ha="center", transform=axes.transAxes)
    plot.savefig(file, metadata={"Date": None})


def _draw(axes: Axes, panel: Panel) -> None:
    for side, label in enumerate(panel.labels):
        for size, pairs in panel.points.items():
            values = [pair[side] for pair in pairs]
            axes.plot([size] * len(values), values, "o", alpha=0.4, color=f"C{side}")
        axes.plot(list(panel.points), panel.medians(side), color=f"C{side}", label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.legend(fontsize=7)
