"""Alerts: this viewer's thresholds and what is over them; the process's own log and webhook."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import process, shell
from dashboard.alerts import Event, Log, Thresholds, exceeded, watch
from dashboard.words import Clock, plain_text, safe_markdown

ROWS = 200
KINDS = {"move": "Move in 5 min", "volatility": "Volatility, 1 h", "stale": "Stale"}


def page() -> None:
    above = st.container()
    draw_thresholds()
    with above:
        shell.live(shell.draw_head, draw_alerts)


def draw_thresholds() -> None:
    """Widgets keep their values while the page is open; `limits` keeps them for the session."""
    start: Thresholds = st.session_state.setdefault("limits", process.operator_thresholds())
    st.subheader("Your thresholds", anchor=False, help="For this session; the log above has them.")
    places = st.columns(3)
    st.session_state["limits"] = Thresholds(
        move_percent=places[0].number_input(
            "Move in 5 minutes, %", 0.01, 1000.0, start.move_percent, step=0.1
        ),
        volatility_percent=places[1].number_input(
            "Volatility of 1 hour, % a year", 1.0, 100_000.0, start.volatility_percent, step=10.0
        ),
        stale_seconds=places[2].number_input(
            "No poll for, seconds", 10.0, 86_400.0, start.stale_seconds, step=10.0, format="%.0f"
        ),
    )


def draw_alerts() -> None:
    seen, clock = shell.look(), shell.clock()
    limits: Thresholds = st.session_state["limits"]
    log: Log = st.session_state.setdefault("alert_log", Log())
    for event in watch(log, seen.known, limits, seen.now):
        if event.has_begun:
            st.toast(f"{KINDS[event.kind]} · {safe_markdown(event.symbol)}")
    st.subheader("Over a threshold now", anchor=False)
    over = exceeded(seen.known, limits)
    if not seen.known:
        st.caption("Nothing is known of the market yet.")
    elif not over:
        st.success("Nothing is over your thresholds.", icon=":material/check_circle:")
    else:
        rows = [
            {"what": KINDS[kind], "symbol": plain_text(symbol), "measure": measure}
            for (kind, symbol), measure in over.items()
        ]
        st.dataframe(
            pd.DataFrame(rows),
            key="over",
            hide_index=True,
            height=shell.table_height(len(rows), 300),
        )
    draw_log(log, clock)


def draw_log(own: Log, clock: Clock) -> None:
    st.subheader("Log", anchor=False)
    watcher = process.current_watcher()
    told = [(event, "you") for event in own.events]
    told += [(event, "operator") for event in watcher.events]
    told = sorted(told, key=lambda pair: pair[0].at)[::-1][:ROWS]
    if told:
        table = pd.DataFrame([_row(event, whose, clock) for event, whose in told])
        st.dataframe(
            table, key="alert-log", hide_index=True, height=shell.table_height(len(table), 300)
        )
    else:
        st.caption("No alert so far.")
    if watcher.has_webhook:
        st.caption(
            f"Webhook: {watcher.sent} told, {watcher.waiting} waiting, {watcher.failed} tries "
            "failed. It is told of the operator's thresholds."
        )
    else:
        st.caption("No webhook: set ALERT_WEBHOOK_URL to have the operator's alerts sent.")


def _row(event: Event, whose: str, clock: Clock) -> dict[str, str]:
    return {
        "at": clock.stamp(event.at),
        "thresholds of": whose,
        "what": KINDS[event.kind],
        "symbol": plain_text(event.symbol),
        "state": "▲ begun" if event.has_begun else "▽ ended",
        "measure": event.words,
    }
