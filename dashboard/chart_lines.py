"""One way to put a line into a figure: thinned, as numpy."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from dashboard.points import Floats, Times
from dashboard.thin import kept_places


def line(
    figure: go.Figure,
    x: Times,
    y: Floats,
    *,
    name: str,
    row: int,
    mode: str = "lines",
    **style: Any,
) -> None:
    """Add a trace of at most `POINTS` points that keeps every extreme a person could see."""
    places = kept_places(y)
    figure.add_scatter(x=x[places], y=y[places], name=name, mode=mode, row=row, col=1, **style)
