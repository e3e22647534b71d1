"""From one instrument to its figure. Pure: no Streamlit, no clock, nothing computed anew.

Arrays go in as numpy, never more than `POINTS` a trace, and `uirevision` is the symbol and
range, so a zoom survives the refresh and ends with a new choice. Rising and falling candles
differ by fill as well as by colour. Text from outside does not enter a figure: Plotly reads
a part of HTML.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.frames import Instrument
from dashboard.points import BandSeries, CandlePoint, Floats, ForecastPoint, Times, as_times
from dashboard.words import DIGITS_SHOWN

POINTS = 2_000
ROOM_AHEAD = timedelta(minutes=65)


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Blue and orange stay apart for every common colour blindness, on white and on black."""

    rise: str
    fall: str
    band: str
    band_fill: str
    forecast: str
    forecast_fill: str
    text: str


LIGHT = Palette(
    rise="#0b63b5",
    fall="#c2570c",
    band="#6b7280",
    band_fill="rgba(107,114,128,0.12)",
    forecast="#7c3aed",
    forecast_fill="rgba(124,58,237,0.18)",
    text="#1f2937",
)
DARK = Palette(
    rise="#5aa9f5",
    fall="#f59a4d",
    band="#9ca3af",
    band_fill="rgba(156,163,175,0.15)",
    forecast="#b794f6",
    forecast_fill="rgba(183,148,246,0.25)",
    text="#e5e7eb",
)


def market_figure(one: Instrument, *, hours: int, is_dark: bool) -> go.Figure:
    """Candles with band and forecast, volume, and volatility, over the last `hours`."""
    palette = DARK if is_dark else LIGHT
    candles = one.candles[-min(hours * 60, POINTS) :]
    figure = make_subplots(
        rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.04, row_heights=[0.62, 0.14, 0.24]
    )
    band = None if one.summary is None else _since(one.summary.recent, candles)
    if band is not None:
        _draw_band(figure, band, palette)
    if candles:
        _draw_candles(figure, candles, palette)
    if band is not None:
        _draw_volatility(figure, band, palette)
    ahead = current_forecasts(one)
    if ahead:
        _draw_forecast(figure, ahead, palette)
    _draw_price(figure, one, palette)
    _lay_out(figure, one, hours=hours, palette=palette)
    return figure


def current_forecasts(one: Instrument) -> tuple[ForecastPoint, ...]:
    """The forecasts of the newest origin, unless the candles have passed them all."""
    if not one.forecasts:
        return ()
    origin = max(forecast.origin_at for forecast in one.forecasts)
    ahead = tuple(forecast for forecast in one.forecasts if forecast.origin_at == origin)
    if one.candles and max(f.target_at for f in ahead) <= one.candles[-1].open_at:
        return ()
    return ahead


def _since(band: BandSeries, candles: tuple[CandlePoint, ...]) -> BandSeries | None:
    """The part of the band that lies under the shown candles; None when there is none."""
    shown = np.ones(band.minute_at.size, dtype=bool)
    if candles:
        shown = band.minute_at >= as_times([candles[0].open_at])[0]
    shown &= np.arange(shown.size) >= shown.size - POINTS
    if not shown.any():
        return None
    return BandSeries(
        minute_at=band.minute_at[shown],
        middle=band.middle[shown],
        upper=band.upper[shown],
        lower=band.lower[shown],
        volatility_1h=band.volatility_1h[shown],
    )


def _draw_band(figure: go.Figure, band: BandSeries, palette: Palette) -> None:
    edge = {"color": palette.band, "width": 1, "dash": "dot"}
    for values, name, fill in (
        (band.upper, "Bollinger upper", None),
        (band.lower, "Bollinger band (20 min)", "tonexty"),
    ):
        figure.add_scatter(
            x=band.minute_at,
            y=values,
            name=name,
            mode="lines",
            line=edge,
            fill=fill,
            fillcolor=palette.band_fill,
            showlegend=fill is not None,
            hoverinfo="skip",
            row=1,
            col=1,
        )


def _draw_candles(figure: go.Figure, candles: tuple[CandlePoint, ...], palette: Palette) -> None:
    open_at = as_times([candle.open_at for candle in candles])
    opens, closes = _values(candles, "open"), _values(candles, "close")
    figure.add_candlestick(
        x=open_at,
        open=opens,
        high=_values(candles, "high"),
        low=_values(candles, "low"),
        close=closes,
        name="1-minute candles",
        increasing={"line": {"color": palette.rise, "width": 1}, "fillcolor": "rgba(0,0,0,0)"},
        decreasing={"line": {"color": palette.fall, "width": 1}, "fillcolor": palette.fall},
        row=1,
        col=1,
    )
    figure.add_bar(
        x=open_at,
        y=_values(candles, "volume"),
        name="Volume",
        marker={"color": palette.band, "line": {"width": 0}},
        showlegend=False,
        row=2,
        col=1,
    )


def _draw_volatility(figure: go.Figure, band: BandSeries, palette: Palette) -> None:
    figure.add_scatter(
        x=band.minute_at,
        y=band.volatility_1h,
        name="Realised volatility (1 h)",
        mode="lines",
        line={"color": palette.rise, "width": 1.5},
        hovertemplate="%{y:.1%} a year<extra></extra>",
        row=3,
        col=1,
    )


def _draw_forecast(figure: go.Figure, ahead: tuple[ForecastPoint, ...], palette: Palette) -> None:
    """A funnel from the origin's price; each horizon's own volatility in the lower panel."""
    first = ahead[0]
    moments = as_times([first.origin_at, *(forecast.target_at for forecast in ahead)])
    edges = (
        ("Forecast high", np.array([first.price, *(f.price_high for f in ahead)])),
        ("Forecast, 90 % band", np.array([first.price, *(f.price_low for f in ahead)])),
    )
    for name, values in edges:
        is_lower = name != "Forecast high"
        figure.add_scatter(
            x=moments,
            y=values,
            name=name,
            mode="lines+markers",
            line={"color": palette.forecast, "width": 1.5},
            marker={"size": 5, "symbol": "diamond"},
            fill="tonexty" if is_lower else None,
            fillcolor=palette.forecast_fill,
            showlegend=is_lower,
            row=1,
            col=1,
        )
    figure.add_scatter(
        x=moments[1:],
        y=np.array([forecast.volatility for forecast in ahead]),
        name="Forecast volatility",
        mode="markers",
        marker={"color": palette.forecast, "size": 8, "symbol": "diamond"},
        hovertemplate="%{y:.1%} a year<extra></extra>",
        row=3,
        col=1,
    )


def _draw_price(figure: go.Figure, one: Instrument, palette: Palette) -> None:
    """The live price: from the newest tick, ahead of the last closed candle."""
    if one.tick is None:
        return
    figure.add_scatter(
        x=as_times([one.tick.poll_at]),
        y=np.array([float(one.tick.price)]),
        name="Live price",
        mode="markers",
        marker={"color": palette.text, "size": 9, "symbol": "star"},
        row=1,
        col=1,
    )


def _lay_out(figure: go.Figure, one: Instrument, *, hours: int, palette: Palette) -> None:
    figure.update_layout(
        height=620,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "y": -0.16, "yanchor": "top", "x": 0, "itemwidth": 30},
        xaxis_rangeslider_visible=False,
        hovermode="x unified",
        uirevision=f"{one.symbol}|{hours}",
        bargap=0.1,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": palette.text},
    )
    digits = max(one.digits, _digits_between(one.candles[-hours * 60 :]))
    figure.update_yaxes(tickformat=f",.{digits}f", side="right", row=1, col=1)
    figure.update_yaxes(title="volume", side="right", tickformat="~s", row=2, col=1)
    figure.update_yaxes(
        title="volatility", side="right", tickformat=".0%", rangemode="tozero", row=3, col=1
    )
    end = _shown_end(one)
    if end is not None:
        figure.update_xaxes(range=[end[0] - np.timedelta64(hours, "h"), end[1]])
    figure.update_xaxes(title="UTC", row=3, col=1)


def _shown_end(one: Instrument) -> Times | None:
    """The newest minute known, and the same with room for the forecast."""
    moments = [candle.open_at for candle in one.candles[-1:]]
    if one.tick is not None:
        moments.append(one.tick.poll_at)
    return as_times([max(moments), max(moments) + ROOM_AHEAD]) if moments else None


def _digits_between(candles: tuple[CandlePoint, ...]) -> int:
    """Decimals that keep neighbouring grid lines apart when the range is narrow."""
    span = max((c.high for c in candles), default=0) - min((c.low for c in candles), default=0)
    return min(max(math.ceil(-math.log10(span / 10)), 0), DIGITS_SHOWN) if span > 0 else 0


def _values(candles: tuple[CandlePoint, ...], name: str) -> Floats:
    return np.array([getattr(candle, name) for candle in candles], dtype=np.float64)
