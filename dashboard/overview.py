"""The market at a glance: a heat map by volume, and who is most volatile. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from dashboard.frames import FORECAST_MINUTES, Instrument
from dashboard.palette import palette_for
from dashboard.words import change_percent, figure_text, say_change, say_percent

TILES = 60
BARS = 12
# A change that gets the full colour, percent.
FULL = 2.0
# A tile must stay readable beside one of a thousand times its volume.
LEAST_SHARE = 0.03


def heat_map(known: Sequence[Instrument], *, is_dark: bool) -> go.Figure:
    """Tiles sized by a day's volume; colour and sign tell the change of the last hour."""
    palette = palette_for(is_dark=is_dark)
    shown = _largest(known)
    volumes = np.array([_volume(one) for one in shown], dtype=np.float64)
    sizes = np.maximum(volumes, volumes.max(initial=0.0) * LEAST_SHARE)
    changes = [change_percent(one.summary.return_1h) if one.summary else None for one in shown]
    figure = go.Figure(
        go.Treemap(
            ids=[str(number) for number in range(len(shown))],
            labels=[figure_text(one.symbol) for one in shown],
            parents=[""] * len(shown),
            values=sizes if sizes.any() else np.ones(len(shown)),
            text=[say_change(one.summary.return_1h if one.summary else None) for one in shown],
            textinfo="label+text",
            customdata=[
                [say_percent(one.summary.volatility_1h if one.summary else None)] for one in shown
            ],
            hovertemplate="%{label}<br>1 h: %{text}<br>volatility: %{customdata[0]}<extra></extra>",
            marker={
                "colors": np.array([change or 0.0 for change in changes]),
                "colorscale": [[0, palette.fall], [0.5, palette.ground], [1, palette.rise]],
                "cmin": -FULL,
                "cmax": FULL,
                "line": {"width": 2, "color": palette.ground},
                # With a colour scale Plotly paints the root dark, so no edge of it may show.
                "pad": dict.fromkeys("tlrb", 0),
            },
            textfont={"size": 14},
            tiling={"pad": 0},
            pathbar={"visible": False},
        )
    )
    figure.update_layout(
        height=330,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        uirevision="heat-map",
        paper_bgcolor="rgba(0,0,0,0)",
    )
    return figure


def ranking(known: Sequence[Instrument], *, is_dark: bool) -> go.Figure:
    """The most volatile by gold's rank: realised as bars, the next hour's forecast as diamonds."""
    palette = palette_for(is_dark=is_dark)
    ranked = [one for one in known if one.summary and one.summary.volatility_rank][:BARS][::-1]
    names = [figure_text(one.symbol) for one in ranked]
    forecasts = [one.forecast(FORECAST_MINUTES) for one in ranked]
    figure = go.Figure()
    figure.add_bar(
        x=np.array([one.summary.volatility_1h if one.summary else None for one in ranked], float),
        y=names,
        orientation="h",
        name="Realised, last hour",
        marker={"color": palette.rise},
        hovertemplate="%{x:.1%} a year<extra></extra>",
    )
    figure.add_scatter(
        x=np.array([None if one is None else one.volatility for one in forecasts], float),
        y=names,
        mode="markers",
        name="Forecast, next hour",
        marker={"color": palette.forecast, "size": 11, "symbol": "diamond"},
        hovertemplate="%{x:.1%} a year<extra></extra>",
    )
    figure.update_layout(
        height=330,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        xaxis={"tickformat": ".0%", "title": "volatility a year", "rangemode": "tozero"},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        uirevision="ranking",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": palette.text},
    )
    return figure


def _largest(known: Sequence[Instrument]) -> list[Instrument]:
    return sorted(known, key=lambda one: (-_volume(one), one.symbol))[:TILES]


def _volume(one: Instrument) -> float:
    volume = None if one.summary is None else one.summary.volume_24h
    return volume if volume is not None and np.isfinite(volume) and volume > 0 else 0.0
