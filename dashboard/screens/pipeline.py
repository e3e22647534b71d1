"""Pipeline: where the numbers come from, and how long ago each part worked."""

from __future__ import annotations

import streamlit as st

from dashboard import feed, shell, states, tables

RUN = st.column_config.LinkColumn("run in Dagster", display_text=r"/runs/([0-9a-zA-Z]{1,8})")


def page() -> None:
    shell.live(shell.draw_head, draw_stages, draw_symbols)


def draw_stages() -> None:
    seen, clock = shell.look(), shell.clock()
    shell.draw_figures(states.pipeline_figures(seen.view, seen.known, seen.now))
    parts = {
        "Sources": (
            tables.source_table(seen.view.kept, seen.now),
            "No poll has been told yet (topic market.polls).",
        ),
        "Stages": (
            tables.stage_table(seen.view.kept, seen.now, clock),
            "No stage has reported yet (topic pipeline.status).",
        ),
    }
    for name, (table, nothing) in parts.items():
        st.subheader(name, anchor=False)
        if table.empty:
            st.caption(nothing)
        else:
            st.dataframe(table, key=name.lower(), hide_index=True)
    st.subheader("Last runs", anchor=False)
    url = feed.current_settings().screen.dagster_url
    runs = tables.run_table(seen.view.kept, seen.now, dagster_url=url)
    if runs.empty:
        st.caption("No run has committed anything since this page's process started to read.")
    else:
        st.dataframe(
            runs,
            key="runs",
            hide_index=True,
            height=shell.table_height(len(runs), 250),
            column_config={"run": RUN},
        )
    st.link_button("Open Dagster", url, icon=":material/open_in_new:")


def draw_symbols() -> None:
    seen = shell.look()
    st.subheader("Symbols: freshness and gaps of 24 h", anchor=False)
    if not seen.known:
        st.caption("No symbol is known yet.")
        return
    table = tables.symbol_table(seen.known, seen.now, shell.clock())
    st.dataframe(table, key="symbols", hide_index=True, height=shell.table_height(len(table), 300))
    st.caption(states.say_books(seen.view))
