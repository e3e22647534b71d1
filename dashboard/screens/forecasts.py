"""Forecasts: what is served, who serves it, and every model's word beside it."""

from __future__ import annotations

import streamlit as st

from dashboard import shell, tables
from dashboard.words import plain_text, safe_markdown, safe_markdown_long

NUMBER = st.column_config.NumberColumn
COLUMNS = {
    "symbol": st.column_config.TextColumn("Symbol", pinned=True),
    "minutes": NUMBER("Minutes ahead"),
    "volatility": NUMBER("Forecast volatility", format="%.0f %%", help="A year"),
    "band": st.column_config.TextColumn("90 % of returns between"),
    "realised 1 h": NUMBER("Realised, last hour", format="%.0f %%", help="A year"),
    "model": st.column_config.TextColumn("Model"),
}

SCORES = {
    "coverage": NUMBER("Inside the 90 % band", format="%.1f %%"),
    **{name: NUMBER(name, format="%.4f") for name in ("QLIKE", "median QLIKE", "pinball")},
    "p against baseline": NUMBER(format="%.3f", help="Two-sided, Diebold-Mariano"),
}


def page() -> None:
    shell.hold("compared", "scored")
    shell.live(shell.draw_head, draw_served, draw_scores, draw_models)


def draw_served() -> None:
    seen = shell.look()
    if not shell.draw_start(seen):
        return
    st.subheader("Served now", anchor=False)
    table = tables.forecast_table(seen.known, shell.clock())
    if table.empty:
        st.caption("No forecast has been published yet (topic market.forecasts).")
        return
    minutes = st.segmented_control(
        "Minutes ahead",
        sorted(int(count) for count in table["minutes"].unique()),
        key="horizon",
        default=max(int(count) for count in table["minutes"]),
    )
    shown = table if minutes is None else table[table["minutes"] == minutes]
    st.dataframe(
        shown,
        key="served",
        hide_index=True,
        height=shell.table_height(len(shown), 390),
        column_config=COLUMNS,
    )


def draw_scores() -> None:
    """Champion and why, and the scoreboard, as the lake judged them."""
    status = shell.look().view.kept.status.values()
    known = {one.minutes: one for report in status for one in report.horizons}
    st.subheader("Scoreboard", anchor=False, help="QLIKE: less is better; 0 is perfect.")
    if not known:
        st.caption("No score has been published yet (topic pipeline.status, stage predictions).")
        return
    if st.session_state.get("scored") not in known:
        st.session_state["scored"] = max(known)
    minutes = st.segmented_control(
        "Minutes ahead of the scores", sorted(known), key="scored", required=True
    )
    one = known[minutes or max(known)]
    st.markdown(
        f"**Served: {safe_markdown(one.served or 'none')}** · champion "
        f"{safe_markdown(one.champion or 'none')} · {safe_markdown_long(one.reason)}"
    )
    st.caption(f"Drift: {safe_markdown(one.drift)}. {safe_markdown_long(one.drift_reason)}")
    for title, is_live in (("Live, since served", True), ("Walk-forward", False)):
        table = tables.score_table(one, is_live=is_live)
        st.caption(f"**{title}**" + (": nothing scored yet." if table.empty else ""))
        if not table.empty:
            st.dataframe(table, key=f"scores-{is_live}", hide_index=True, column_config=SCORES)


def draw_models() -> None:
    """Every model's newest word about one symbol."""
    known = [one for one in shell.look().known if one.models]
    if not known:
        return
    st.subheader("Every model, one symbol", anchor=False)
    names = [one.symbol for one in known]
    if st.session_state.get("compared") not in names:
        st.session_state["compared"] = names[0]
    options = shell.chosen_first(st.session_state["compared"], names)
    symbol = st.selectbox("Symbol", options, key="compared", format_func=plain_text)
    one = next(one for one in known if one.symbol == symbol)
    st.caption(
        f"{safe_markdown(one.symbol)}: the served model is marked; the others are the baselines "
        "that it has to beat."
    )
    st.dataframe(
        tables.model_table(one),
        key="models",
        hide_index=True,
        column_config={"volatility": NUMBER("Forecast volatility", format="%.0f %%")},
    )
