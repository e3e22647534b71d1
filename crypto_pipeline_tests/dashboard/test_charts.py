from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pytest

from crypto_pipeline_tests.dashboard.market import (
    MINUTE,
    NOW,
    candle,
    forecast,
    make_feed,
    summary,
    tick,
    whole_market,
)
from dashboard import chart_forecasts, charts, frames, thin


def instrument(*records):
    return frames.instruments(make_feed(*records).snapshot().kept, NOW)[0]


def trace(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


def test_the_figure_shows_candles_band_forecast_and_the_live_price():
    figure = charts.market_figure(instrument(*whole_market()), hours=3, is_dark=False)
    assert len(trace(figure, "Exchange candles (1 min)").x) == 180
    assert len(trace(figure, "Bollinger band (20 min)").x) <= 181
    assert len(trace(figure, "Forecast, 90 % band").x) == 4
    assert trace(figure, "Live price").y[0] == float("0.0000000012")
    assert figure.layout.yaxis.tickformat.endswith("f")


def test_the_funnel_starts_at_the_origin_and_widens():
    figure = charts.market_figure(instrument(*whole_market()), hours=2, is_dark=True)
    low, high = trace(figure, "Forecast, 90 % band").y, trace(figure, "Forecast high").y
    assert low[0] == high[0]
    assert np.all(np.diff(high - low) > 0)


def test_a_forecast_whose_time_has_passed_is_not_drawn():
    later = [candle(open_at=MINUTE + timedelta(minutes=m)) for m in range(90)]
    one = instrument(tick(), forecast(minutes=5), forecast(minutes=60), *later)
    assert chart_forecasts.current_forecasts(one) == ()


@pytest.mark.parametrize("records", [[tick()], [candle()], [summary()], [summary(recent=[])]])
def test_whatever_part_is_missing_a_figure_comes_out(records):
    figure = charts.market_figure(instrument(*records), hours=2, is_dark=False)
    assert {"data", "layout"} <= json.loads(figure.to_json()).keys()


def test_traces_are_numpy_and_bounded_and_zoom_outlives_a_refresh():
    one = instrument(*whole_market())
    figure = charts.market_figure(one, hours=6, is_dark=False)
    for drawn in figure.data:
        assert isinstance(drawn.x, np.ndarray)
        assert len(drawn.x) <= thin.POINTS
    again = charts.market_figure(one, hours=6, is_dark=True)
    assert figure.layout.uirevision == again.layout.uirevision == "DUST-USDT|6|UTC"
    assert len(figure.to_json()) < 150_000


def test_rising_and_falling_candles_differ_by_fill_not_only_by_colour():
    drawn = trace(
        charts.market_figure(instrument(*whole_market()), hours=2, is_dark=False),
        "Exchange candles (1 min)",
    )
    assert drawn.increasing.fillcolor == "rgba(0,0,0,0)"
    assert drawn.decreasing.fillcolor != "rgba(0,0,0,0)"


def test_a_narrow_range_gets_axis_digits_that_differ():
    one = instrument(tick(price="1.5"), *(candle(close=c) for c in ("1.5001", "1.5002")))
    figure = charts.market_figure(one, hours=2, is_dark=False)
    assert int(figure.layout.yaxis.tickformat[2:-1]) >= 3


def test_no_text_from_outside_enters_the_drawing():
    hostile = "<b>BAD</b>-USDT"
    records = [tick(hostile), candle(hostile), summary(hostile), forecast(hostile, model="<i>m")]
    layout = charts.market_figure(instrument(*records), hours=2, is_dark=False).to_dict()
    layout["layout"].pop("uirevision")
    assert "<b>" not in str(layout)
    assert "<i>" not in str(layout)
