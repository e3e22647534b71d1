"""The entry: who may come in, the pages, and what all of them have. Pages draw themselves.

Live parts are fragments with one timer each, and the timer lives in the browser: without
an open tab nothing runs.
"""

from __future__ import annotations

import streamlit as st

from dashboard import access, feed, process, shell
from dashboard.screens import alerts, forecasts, market, pipeline, symbol


def draw() -> None:
    pages = {
        "market": st.Page(market.page, title="Market", url_path="market", default=True,
                          icon=":material/monitoring:"),
        "symbol": st.Page(symbol.page, title="Symbol", url_path="symbol",
                          icon=":material/candlestick_chart:"),
        "forecasts": st.Page(forecasts.page, title="Forecasts", url_path="forecasts",
                             icon=":material/query_stats:"),
        "pipeline": st.Page(pipeline.page, title="Pipeline", url_path="pipeline",
                            icon=":material/account_tree:"),
        "alerts": st.Page(alerts.page, title="Alerts", url_path="alerts",
                          icon=":material/notifications:"),
    }  # fmt: skip
    st.session_state["pages"] = pages
    page = st.navigation(list(pages.values()), position="top")
    if page is pages["market"]:
        follow_address(pages)
    st.session_state["interval"] = process.current_pace().interval
    title, local = st.columns([4, 1], vertical_alignment="center")
    title.header(shell.TITLE, anchor=False)
    local.toggle("My local time", key="is_local", help="Times are UTC otherwise")
    process.current_watcher()
    page.run()


def follow_address(pages: dict[str, st.Page]) -> None:
    """`?page=` leads from the root to a page, and `?symbol=` alone to that symbol's."""
    asked = st.query_params.to_dict()
    if st.session_state.get("followed") or not {"page", "symbol"} & set(asked):
        return
    st.session_state["followed"] = True
    name = asked.pop("page", "symbol")
    if name in pages:
        st.switch_page(pages[name], query_params=asked)


st.set_page_config(page_title="crypto-pipeline", page_icon="📈", layout="wide")
if access.admit(feed.current_settings().screen.login):
    draw()
