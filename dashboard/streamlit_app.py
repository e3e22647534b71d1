"""The page, top to bottom in the order of the screen. It draws; what it draws is made elsewhere.

Live parts are fragments with one timer each, and the timer lives in the browser: without
an open tab nothing runs.
"""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from dashboard import charts, feed, frames, states, words
from dashboard.buffers import View

EVERY = 2.0  # seconds; as text it would go through a call that NumPy deprecates
HOURS = (2, 3, 4, 6)
NUMBER = st.column_config.NumberColumn
CHANGE = "%+.2f %%"


@st.fragment(run_every=EVERY)
def draw_market() -> None:
    """Banner, headline and watch-list; on a first start, what is still awaited."""
    view, now = feed.current_feed().snapshot(), datetime.now(UTC)
    # Places that stay: an element that moves up is drawn twice until the run has ended.
    market, trouble, clock, start, headline, table = (st.container() for _ in range(6))
    with market:
        draw_notice(states.market_notice(view))
    with trouble:
        draw_notice(states.trouble_notice(view, now))
    known = frames.instruments(view.kept, now)
    clock.caption(f"{now:%Y-%m-%d %H:%M:%S} UTC · refreshed every 2 s")
    if not known or not all(done for _, done in states.awaited(view)):
        with start:
            draw_start(view)
    if not known:
        return
    with headline:
        draw_headline(states.headline(view, known, now))
    with table:
        draw_table(known)


def draw_headline(figures: list[states.Figure]) -> None:
    row = st.container(horizontal=True)
    for figure in figures:
        row.metric(
            figure.label,
            figure.value,
            delta=figure.note,
            delta_color="off",
            delta_arrow="off",
            help=figure.meaning,
            border=True,
        )


def draw_start(view: View) -> None:
    if view.tail.state in ("away", "stopped") and view.kept.latest:
        return
    steps = [
        f"{':material/check_circle:' if done else ':material/hourglass_empty:'} {what}"
        + ("" if done else " — **waiting**")
        for what, done in states.awaited(view)
    ]
    st.info("**Starting.** This page fills by itself.\n\n" + "  \n".join(steps))


def draw_table(known: list[frames.Instrument]) -> None:
    st.subheader("Watch-list", anchor=False)
    st.dataframe(
        frames.market_table(known),
        key="watch-list",
        hide_index=True,
        height=min(38 + 35 * len(known), 460),
        column_config={
            "rank": NUMBER("Rank", help="By volatility over 1 h; 1 moves most", width=50),
            "symbol": st.column_config.TextColumn("Symbol", pinned=True, width=100),
            "state": st.column_config.TextColumn("Data", width=105),
            "price": st.column_config.TextColumn("Price", alignment="right"),
            "spark": st.column_config.LineChartColumn("6 hours", width=110),
            "1m": NUMBER("1 m", format=CHANGE),
            "5m": NUMBER("5 m", format=CHANGE),
            "1h": NUMBER("1 h", format=CHANGE),
            "24h": NUMBER("24 h", format=CHANGE),
            "volatility 1h": NUMBER("Vol 1 h", format="%.0f %%", help="Realised, a year"),
            "volatility 24h": NUMBER("Vol 24 h", format="%.0f %%", help="Realised, a year"),
            "forecast": NUMBER("Forecast 60 m", format="%.0f %%", help="Volatility, a year"),
            "band": st.column_config.TextColumn("Its 90 % band", alignment="right"),
            "spread": NUMBER("Spread", format="%.1f bps"),
        },
    )


@st.fragment(run_every=EVERY)
def draw_symbol() -> None:
    """One instrument: picker, price and figure. The address keeps the choice."""
    view, now = feed.current_feed().snapshot(), datetime.now(UTC)
    known = frames.instruments(view.kept, now)
    if not known:
        return
    notice = st.container()  # a place that stays, as above
    with notice:
        choose_symbol(known)
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    symbols = sorted(one.symbol for one in known)
    chosen = left.selectbox(
        "Symbol", symbols, key="symbol", format_func=words.plain_text, on_change=keep_address
    )
    hours = right.segmented_control(
        "Range",
        HOURS,
        key="hours",
        required=True,
        format_func=lambda count: f"{count} h",
        on_change=keep_address,
    )
    one = next(one for one in known if one.symbol == chosen)
    draw_price_line(one)
    st.plotly_chart(
        charts.market_figure(one, hours=hours or HOURS[0], is_dark=st.context.theme.type == "dark"),
        key="market-figure",
        config={"displaylogo": False, "scrollZoom": True},
        alt="Candles with volatility band and forecast, volume, realised volatility",
    )


def choose_symbol(known: list[frames.Instrument]) -> None:
    """Show the symbol of the address as soon as it is there; one that is gone falls back.

    On a start symbols arrive one by one, so the asked one may be late.
    """
    state, symbols = st.session_state, {one.symbol for one in known}
    wanted = state.setdefault("wanted", st.query_params.get("symbol"))
    found = states.find_symbol(wanted, known)
    if found is not None:
        state["symbol"], state["wanted"] = found, None
    elif state.get("symbol") not in symbols:
        state["symbol"] = known[0].symbol
    state["shown"] = state["symbol"]
    if "hours" not in state:
        asked = st.query_params.get("hours", "")
        state["hours"] = int(asked) if asked in map(str, HOURS) else HOURS[1]
    if state["wanted"]:
        draw_notice(states.wrong_symbol(state["wanted"], state["symbol"]))


def keep_address() -> None:
    """Only a person's choice goes into the address; the page's own echoes come here too."""
    state = st.session_state
    if state["symbol"] != state["shown"]:
        state["wanted"] = None
        st.query_params["symbol"] = state["symbol"]
    if state["hours"] in HOURS:
        st.query_params["hours"] = str(state["hours"])


def draw_price_line(one: frames.Instrument) -> None:
    name, price = words.safe_markdown(one.symbol), words.safe_markdown(one.shown_price)
    st.markdown(f"#### {name} · {price}")
    forecast = one.forecast(frames.FORECAST_MINUTES)
    said = "no forecast yet"
    if forecast is not None:
        band = words.safe_markdown(words.say_band(forecast.return_low, forecast.return_high))
        model = words.safe_markdown(forecast.model)
        said = f"forecast 60 min from {forecast.origin_at:%H:%M} UTC by {model}: {band}"
    st.caption(f"{one.freshness.badge} · {said}")


@st.fragment(run_every=5.0)
def draw_pipeline() -> None:
    """Where the numbers come from and how long ago each stage worked."""
    view, now = feed.current_feed().snapshot(), datetime.now(UTC)
    st.subheader("Pipeline", anchor=False)
    stages, polls = frames.pipeline_table(view.kept, now), frames.poll_table(view.kept, now)
    first, second, books = (st.container() for _ in range(3))
    if stages.empty:
        first.caption("No stage has reported yet (topic pipeline.status).")
    else:
        first.dataframe(stages, key="stages", hide_index=True)
    if not polls.empty:
        second.dataframe(polls, key="polls", hide_index=True)
    shed = sum(view.kept.shed.values())
    books.caption(
        f"{view.tail.records:,} records read, {view.tail.malformed:,} malformed, {shed:,} shed; "
        f"buffers hold {view.kept.bytes / 1e6:.1f} MB."
    )


def draw_notice(notice: states.Notice | None) -> None:
    if notice is not None:
        getattr(st, notice.level)(notice.text, icon=notice.icon)


st.set_page_config(page_title="crypto-pipeline", page_icon="📈", layout="wide")
st.title("Crypto market", anchor=False)
draw_market()
draw_symbol()
draw_pipeline()
