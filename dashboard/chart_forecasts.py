"""Forecasts in a symbol's figure: the funnel ahead, and what was said an hour before."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from dashboard.chart_lines import line
from dashboard.frames import Instrument
from dashboard.palette import Palette
from dashboard.points import ForecastPoint, as_times

PRICE, VOLATILITY = 1, 3


def current_forecasts(one: Instrument) -> tuple[ForecastPoint, ...]:
    """The forecasts of the newest origin, unless the candles have passed them all."""
    if not one.forecasts:
        return ()
    origin = max(forecast.origin_at for forecast in one.forecasts)
    ahead = tuple(forecast for forecast in one.forecasts if forecast.origin_at == origin)
    if one.candles and max(f.target_at for f in ahead) <= one.candles[-1].open_at:
        return ()
    return ahead


def draw_ahead(figure: go.Figure, ahead: tuple[ForecastPoint, ...], palette: Palette) -> None:
    """A funnel from the origin's price; each horizon's own volatility in the lower panel."""
    if not ahead:
        return
    first = ahead[0]
    moments = as_times([first.origin_at, *(forecast.target_at for forecast in ahead)])
    edges = (
        ("Forecast high", np.array([first.price, *(f.price_high for f in ahead)])),
        ("Forecast, 90 % band", np.array([first.price, *(f.price_low for f in ahead)])),
    )
    for name, values in edges:
        is_lower = name != "Forecast high"
        line(
            figure,
            moments,
            values,
            name=name,
            row=PRICE,
            mode="lines+markers",
            line={"color": palette.forecast, "width": 1.5},
            marker={"size": 5, "symbol": "diamond"},
            fill="tonexty" if is_lower else None,
            fillcolor=palette.forecast_fill,
            showlegend=is_lower,
        )
    line(
        figure,
        moments[1:],
        np.array([forecast.volatility for forecast in ahead]),
        name="Forecast volatility, ahead",
        row=VOLATILITY,
        mode="markers",
        marker={"color": palette.forecast, "size": 8, "symbol": "diamond"},
        hovertemplate="%{y:.1%} a year<extra></extra>",
    )


def draw_served(
    figure: go.Figure,
    served: tuple[ForecastPoint, ...],
    since: np.datetime64 | None,
    palette: Palette,
) -> None:
    """What was said an hour before each minute: its price band, and its volatility."""
    if len(served) < 2:
        return
    moments = as_times([forecast.target_at for forecast in served])
    shown = np.ones(moments.size, dtype=bool) if since is None else moments >= since
    if not shown.any():
        return
    dotted = {"color": palette.forecast, "width": 1, "dash": "dot"}
    for name, values in (
        ("Band said an hour before, high", [forecast.price_high for forecast in served]),
        ("Band said an hour before", [forecast.price_low for forecast in served]),
    ):
        line(
            figure,
            moments[shown],
            np.array(values)[shown],
            name=name,
            row=PRICE,
            line=dotted,
            showlegend=name == "Band said an hour before",
            hoverinfo="skip",
        )
    line(
        figure,
        moments[shown],
        np.array([forecast.volatility for forecast in served])[shown],
        name="Volatility said an hour before",
        row=VOLATILITY,
        line={"color": palette.forecast, "width": 1.5, "dash": "dash"},
        hovertemplate="%{y:.1%} a year<extra></extra>",
    )
