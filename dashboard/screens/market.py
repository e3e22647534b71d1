"""Market: what moves most, what is said of it, is it fresh; then all symbols."""

from __future__ import annotations

import streamlit as st

from dashboard import overview, shell, states, tables, words
from dashboard.feed import Look
from dashboard.words import safe_markdown, say_change

NUMBER = st.column_config.NumberColumn
CHANGE = "%+.2f %%"
MOVERS = 5


def page() -> None:
    shell.hold("search", "order", "reverse")
    shell.live(draw_now, draw_board, draw_overview)


def draw_now() -> None:
    """Banner and headline; on a first start, what is still awaited."""
    shell.draw_head()
    seen = shell.look()
    start, headline = st.container(), st.container()
    with start:
        has_market = shell.draw_start(seen)
    if has_market:
        with headline:
            shell.draw_figures(states.headline(seen.view, seen.known, seen.now))


def draw_board() -> None:
    """The watch-list; a click on a row opens its symbol."""
    seen = shell.look()
    if not seen.known:
        return
    st.subheader("Watch-list", anchor=False)
    left, middle, right = st.columns([3, 2, 1], vertical_alignment="bottom")
    search = left.text_input("Search", key="search", placeholder="BTC", max_chars=40)
    order = middle.selectbox("Sort by", list(tables.ORDERS), key="order")
    is_reversed = right.toggle("Reverse", key="reverse")
    rows = tables.found_rows(
        seen.drawings.once("watch-list", lambda: tables.market_table(seen.known)),
        search=search, order=order, is_reversed=is_reversed,
    )  # fmt: skip
    if rows.empty:
        st.caption(f"No symbol of {len(seen.known)} has this text in its name.")
        return
    chosen = st.dataframe(
        rows,
        key="watch-list",
        hide_index=True,
        height=shell.table_height(len(rows), 460),
        on_select="rerun",
        selection_mode="single-row",
        placeholder=words.NOTHING,
        column_config=COLUMNS,
    )
    if chosen["selection"]["rows"]:
        place = rows.index[chosen["selection"]["rows"][0]]
        shell.open_symbol(seen.known[place].symbol)


COLUMNS = {
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
}


def draw_overview() -> None:
    """Heat map, ranking and movers, once gold has measured something."""
    seen = shell.look()
    if not any(one.summary for one in seen.known):
        return
    left, right = st.columns(2)
    is_dark = shell.is_dark()
    with left:
        st.subheader("Heat map", anchor=False, help="Size: volume of 24 h. Colour, sign: 1 h.")
        st.plotly_chart(
            seen.drawings.once(
                ("heat-map", is_dark), lambda: overview.heat_map(seen.known, is_dark=is_dark)
            ),
            key="heat-map",
            config={"displaylogo": False},
            alt="Tiles sized by volume, with the change of the last hour",
        )
    with right:
        st.subheader("Volatility ranking", anchor=False)
        st.plotly_chart(
            seen.drawings.once(
                ("ranking", is_dark), lambda: overview.ranking(seen.known, is_dark=is_dark)
            ),
            key="ranking",
            config={"displaylogo": False},
            alt="The most volatile symbols, realised and forecast",
        )
    draw_movers(seen)


def draw_movers(seen: Look) -> None:
    st.subheader("Top movers, 1 h", anchor=False)
    for place, (name, found) in zip(
        st.columns(2),
        zip(("Up", "Down"), tables.movers(seen.known, count=MOVERS), strict=True),
        strict=True,
    ):
        lines = [
            f"**{safe_markdown(one.symbol)}** {say_change(one.summary.return_1h)}"
            for one in found
            if one.summary is not None
        ]
        place.markdown(f"{name}: " + (" · ".join(lines) if lines else "none"))
