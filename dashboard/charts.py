"""From one instrument to its figure. Pure: no Streamlit, no clock, nothing computed anew.

Arrays go in as numpy, never more than `POINTS` a trace, and `uirevision` is the symbol and
range, so a zoom survives the refresh and ends with a new choice. Rising and falling candles
differ by fill as well as by colour. Text from outside does not enter a figure: Plotly reads
a part of HTML.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.chart_forecasts import current_forecasts, draw_ahead, draw_served
from dashboard.chart_lines import line
from dashboard.frames import Instrument
from dashboard.palette import Palette, palette_for
from dashboard.points import BandSeries, CandlePoint, Floats, Times, as_times
from dashboard.thin import POINTS
from dashboard.words import DIGITS_SHOWN, IN_UTC, Clock

ROOM_AHEAD = timedelta(minutes=65)
PRICE, VOLUME, VOLATILITY = 1, 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The part of an instrument that the range shows."""

    one: Instrument
    hours: int
    clock: Clock
    candles: tuple[CandlePoint, ...]
    since: np.datetime64 | None
    end: Times | None


def market_figure(
    one: Instrument, *, hours: int, is_dark: bool, clock: Clock = IN_UTC
) -> go.Figure:
    """Candles with band, gaps and forecast, volume, and volatility, over the last `hours`."""
    palette = palette_for(is_dark=is_dark)
    end = _shown_end(one)
    since = None if end is None else end[0] - np.timedelta64(hours, "h")
    candles = one.candles[-min(hours * 60, POINTS) :]
    shown = Shown(one=one, hours=hours, clock=clock, candles=candles, since=since, end=end)
    figure = make_subplots(
        rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.04, row_heights=[0.6, 0.14, 0.26]
    )
    band = None if one.summary is None else _since(one.summary.recent, since)
    if band is not None:
        _draw_band(figure, band, palette)
    if candles:
        _draw_candles(figure, candles, palette)
    if band is not None:
        _draw_sampled(figure, band, palette)
        _draw_volatility(figure, band, palette)
    draw_served(figure, one.served, since, palette)
    draw_ahead(figure, current_forecasts(one), palette)
    _draw_price(figure, one, palette)
    _mark_gaps(figure, shown, palette)
    _lay_out(figure, shown, palette)
    _into_zone(figure, shown)
    return figure


def _since(band: BandSeries, since: np.datetime64 | None) -> BandSeries | None:
    """The part of the band that the range shows; None when there is none."""
    shown = np.ones(band.minute_at.size, dtype=bool)
    if since is not None:
        shown = band.minute_at >= since
    if not shown.any():
        return None
    return BandSeries(**{name: getattr(band, name)[shown] for name in BandSeries.__slots__})


def _draw_band(figure: go.Figure, band: BandSeries, palette: Palette) -> None:
    edge = {"color": palette.band, "width": 1, "dash": "dot"}
    for values, name, fill in (
        (band.upper, "Bollinger upper", None),
        (band.lower, "Bollinger band (20 min)", "tonexty"),
    ):
        line(
            figure,
            band.minute_at,
            values,
            name=name,
            row=PRICE,
            line=edge,
            fill=fill,
            fillcolor=palette.band_fill,
            showlegend=fill is not None,
            hoverinfo="skip",
        )


def _draw_candles(figure: go.Figure, candles: tuple[CandlePoint, ...], palette: Palette) -> None:
    open_at = as_times([candle.open_at for candle in candles])
    figure.add_candlestick(
        x=open_at,
        open=_values(candles, "open"),
        high=_values(candles, "high"),
        low=_values(candles, "low"),
        close=_values(candles, "close"),
        name="Exchange candles (1 min)",
        increasing={"line": {"color": palette.rise, "width": 1}, "fillcolor": "rgba(0,0,0,0)"},
        decreasing={"line": {"color": palette.fall, "width": 1}, "fillcolor": palette.fall},
        row=PRICE,
        col=1,
    )
    figure.add_bar(
        x=open_at,
        y=_values(candles, "volume"),
        name="Volume",
        marker={"color": palette.band, "line": {"width": 0}},
        showlegend=False,
        row=VOLUME,
        col=1,
    )


def _draw_sampled(figure: go.Figure, band: BandSeries, palette: Palette) -> None:
    """Minutes of one polled price: hollow diamonds, so that nobody takes them for candles."""
    known = ~np.isnan(band.sampled)
    if not known.any():
        return
    line(
        figure,
        band.minute_at[known],
        band.sampled[known],
        name="Sampled (one poll a minute)",
        row=PRICE,
        mode="markers",
        marker={"color": palette.text, "size": 5, "symbol": "diamond-open"},
    )


def _draw_volatility(figure: go.Figure, band: BandSeries, palette: Palette) -> None:
    line(
        figure,
        band.minute_at,
        band.volatility_1h,
        name="Realised volatility (1 h)",
        row=VOLATILITY,
        line={"color": palette.rise, "width": 1.5},
        hovertemplate="%{y:.1%} a year<extra></extra>",
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
        row=PRICE,
        col=1,
    )


def _mark_gaps(figure: go.Figure, shown: Shown, palette: Palette) -> None:
    """A bar behind the minutes without a candle; what was repaired needs none."""
    marked = False
    for gap in shown.one.gaps:
        edges = as_times([gap.from_at, gap.to_at])
        if gap.state == "repaired" or (shown.since is not None and edges[1] < shown.since):
            continue
        first = edges[0] if shown.since is None else max(edges[0], shown.since)
        figure.add_shape(
            type="rect",
            x0=_moved(first, shown),
            x1=_moved(edges[1], shown),
            y0=0,
            y1=1,
            xref="x",
            yref="y domain",
            layer="below",
            line={"width": 0},
            fillcolor=palette.gap_fill,
        )
        marked = True
    if marked:
        figure.add_scatter(
            x=np.array([None]),
            y=np.array([None]),
            name="Gap or halt",
            mode="markers",
            marker={"symbol": "square", "size": 11, "color": palette.gap_fill},
            row=PRICE,
            col=1,
        )


def _lay_out(figure: go.Figure, shown: Shown, palette: Palette) -> None:
    figure.update_layout(
        height=620,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "y": -0.12, "yanchor": "top", "x": 0, "itemwidth": 30},
        xaxis_rangeslider_visible=False,
        hovermode="x unified",
        uirevision=f"{shown.one.symbol}|{shown.hours}|{shown.clock.name}",
        bargap=0.1,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": palette.text},
    )
    digits = max(shown.one.digits, _digits_between(shown.candles))
    figure.update_yaxes(tickformat=f",.{digits}f", side="right", row=PRICE, col=1)
    figure.update_yaxes(title="volume", side="right", tickformat="~s", row=VOLUME, col=1)
    figure.update_yaxes(
        title="volatility", side="right", tickformat=".0%", rangemode="tozero",
        row=VOLATILITY, col=1,
    )  # fmt: skip
    if shown.end is not None:
        last = _moved(shown.end[1], shown)
        figure.update_xaxes(range=[last - np.timedelta64(shown.hours * 60 + 65, "m"), last])
    figure.update_xaxes(title=shown.clock.name, row=VOLATILITY, col=1)


def _into_zone(figure: go.Figure, shown: Shown) -> None:
    """Plotly draws times as they are written: for another zone the axis itself is moved."""
    if shown.clock.zone is None:
        return
    for trace in figure.data:
        if trace.x is not None and trace.x.dtype.kind == "M":
            trace.x = trace.x + _shift(shown)


def _moved(moment: np.datetime64, shown: Shown) -> np.datetime64:
    return moment if shown.clock.zone is None else moment + _shift(shown)


def _shift(shown: Shown) -> np.timedelta64:
    """One offset for the whole range, that of its end."""
    newest = _newest_moment(shown.one)
    offset = timedelta(0) if newest is None else shown.clock.offset(newest)
    return np.timedelta64(int(offset.total_seconds()), "s")


def _newest_moment(one: Instrument) -> datetime | None:
    moments = [candle.open_at for candle in one.candles[-1:]]
    if one.tick is not None:
        moments.append(one.tick.poll_at)
    elif one.summary is not None:
        moments.append(one.summary.minute_at)
    return max(moments, default=None)


def _shown_end(one: Instrument) -> Times | None:
    """The newest minute known, and the same with room for the forecast."""
    newest = _newest_moment(one)
    return None if newest is None else as_times([newest, newest + ROOM_AHEAD])


def _digits_between(candles: tuple[CandlePoint, ...]) -> int:
    """Decimals that keep neighbouring grid lines apart when the range is narrow."""
    span = max((c.high for c in candles), default=0) - min((c.low for c in candles), default=0)
    return min(max(math.ceil(-math.log10(span / 10)), 0), DIGITS_SHOWN) if span > 0 else 0


def _values(candles: tuple[CandlePoint, ...], name: str) -> Floats:
    return np.array([getattr(candle, name) for candle in candles], dtype=np.float64)
