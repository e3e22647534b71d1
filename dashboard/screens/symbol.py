"""Symbol: one instrument with its price, volatility against forecast, and gaps."""

from __future__ import annotations

import streamlit as st

from dashboard import charts, frames, shell, states, tables, words
from dashboard.feed import Look

HOURS = (1, 2, 3, 6, 12, 24)
START_HOURS = 3


def page() -> None:
    shell.hold("symbol", "hours")
    shell.live(shell.draw_head, draw_symbol)
    draw_downloads()


def draw_symbol() -> None:
    """Picker, figures and chart. The address keeps the choice."""
    seen = shell.look()
    start, notice = st.container(), st.container()  # places that stay
    with start:
        if not shell.draw_start(seen):
            return
    known = list(seen.known)
    with notice:
        choose_symbol(known)
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    left.selectbox(
        "Symbol",
        shell.chosen_first(st.session_state["symbol"], (one.symbol for one in known)),
        key="symbol",
        format_func=words.plain_text,
        on_change=keep_address,
    )
    right.segmented_control(
        "Range",
        HOURS,
        key="hours",
        required=True,
        format_func=lambda count: f"{count} h",
        on_change=keep_address,
    )
    one = next(one for one in known if one.symbol == st.session_state["symbol"])
    draw_instrument(seen, one, st.session_state["hours"] or START_HOURS)


def draw_instrument(seen: Look, one: frames.Instrument, hours: int) -> None:
    clock, is_dark = shell.clock(), shell.is_dark()
    name, price = words.safe_markdown(one.symbol), words.safe_markdown(one.shown_price)
    st.markdown(f"#### {name} · {price}")
    st.caption(f"{one.freshness.badge} · {states.say_forecast(one, clock)}")
    shell.draw_figures(states.symbol_figures(one))
    st.caption(states.say_measures(one))
    st.plotly_chart(
        seen.drawings.once(
            ("symbol", one.symbol, hours, is_dark, clock),
            lambda: charts.market_figure(one, hours=hours, is_dark=is_dark, clock=clock),
        ),
        key="market-figure",
        config={
            "displaylogo": False,
            "scrollZoom": True,
            "toImageButtonOptions": {"format": "png", "scale": 2, "filename": "crypto-market"},
        },
        alt="Candles with volatility band and forecast, volume, realised volatility",
    )
    gaps = tables.gap_table(one.gaps, clock)
    if gaps.empty:
        st.caption("No gap and no halt in the last 24 hours that the lake knows of.")
    else:
        st.markdown("**Gaps and halts, 24 h**")
        st.dataframe(gaps, key="gaps", hide_index=True, height=shell.table_height(len(gaps), 220))


def choose_symbol(known: list[frames.Instrument]) -> None:
    """Show the symbol of the address as soon as it is there; one that is gone falls back.

    On a start symbols arrive one by one, so the asked one may be late. A widget's own state
    goes with its page, so the last choice is kept beside it.
    """
    state, symbols = st.session_state, {one.symbol for one in known}
    wanted = state.setdefault("wanted", st.query_params.get("symbol"))
    found = states.find_symbol(wanted, known)
    if found is not None:
        state["symbol"], state["wanted"] = found, None
    elif state.get("symbol") not in symbols:
        before = state.get("shown")
        state["symbol"] = before if before in symbols else known[0].symbol
    state["shown"] = state["symbol"]
    if state.get("hours") not in HOURS:
        asked = st.query_params.get("hours", str(state.get("hours_shown", START_HOURS)))
        state["hours"] = int(asked) if asked in map(str, HOURS) else START_HOURS
    state["hours_shown"] = state["hours"]
    if state["wanted"]:
        shell.draw_notice(states.wrong_symbol(state["wanted"], state["symbol"]))


def keep_address() -> None:
    """Only a person's choice goes into the address; the page's own echoes come here too."""
    state = st.session_state
    if state["symbol"] != state["shown"]:
        state["wanted"] = None
        st.query_params["symbol"] = state["symbol"]
    if state["hours"] in HOURS:
        st.query_params["hours"] = str(state["hours"])


def draw_downloads() -> None:
    """Outside the live part; the file is made when it is asked for."""
    st.download_button(
        "Candles as CSV",
        as_csv,
        file_name="candles.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
    )
    st.caption("The camera above the chart saves it as PNG. Times in the CSV are UTC.")


def as_csv() -> bytes:
    """The candles of the chosen symbol that the page holds."""
    shown = st.session_state.get("shown")
    one = next((one for one in shell.look().known if one.symbol == shown), None)
    text: str = tables.candle_table(() if one is None else one.candles).to_csv(index=False)
    return text.encode()
