"""The real page over fake markets: `?market=` names one, for `streamlit run` in the tests."""

from __future__ import annotations

import runpy
from pathlib import Path

import streamlit as st

from crypto_pipeline_tests.browser import markets
from dashboard import feed as feed_module

PAGE = Path(feed_module.__file__).with_name("streamlit_app.py")


@st.cache_resource(show_spinner=False)
def market(name: str) -> feed_module.Feed:
    return markets.build(name)


def chosen() -> feed_module.Feed:
    try:
        return market(st.session_state.get("market", "full"))
    except RuntimeError:  # the watcher's thread has no session
        return market("full")


st.session_state.setdefault("market", st.query_params.get("market", "full"))
feed_module.current_feed = chosen
runpy.run_path(str(PAGE))
