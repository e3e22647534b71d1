"""What all sessions of the process share besides the feed: the pace, and the watcher."""

from __future__ import annotations

import streamlit as st

from dashboard import feed
from dashboard.alerts import Thresholds
from dashboard.pace import Pace
from dashboard.watcher import Watcher, webhook


@st.cache_resource(show_spinner=False)
def current_pace() -> Pace:
    return Pace(feed.current_settings().screen.refresh_seconds)


def operator_thresholds() -> Thresholds:
    settings = feed.current_settings().screen
    return Thresholds(
        move_percent=settings.alert_move_percent,
        volatility_percent=settings.alert_volatility_percent,
        stale_seconds=settings.alert_stale_seconds,
    )


@st.cache_resource(show_spinner=False, on_release=lambda watcher: watcher.stop())
def current_watcher() -> Watcher:
    """Made at the first visit; `python -m dashboard` makes it at once where there is a webhook."""
    send = webhook(feed.current_settings().screen.alert_webhook_url)
    watcher = Watcher(lambda now: feed.current_feed().look(now), operator_thresholds(), send=send)
    watcher.start()
    return watcher
