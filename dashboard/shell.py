"""What every page has: its parts' timers, the banner, this viewer's clock and colours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import streamlit as st

from dashboard import feed, process, states
from dashboard.feed import Look
from dashboard.words import Clock, clock_of

Part = Callable[[], None]
TITLE = "Crypto market"
# Four side by side on a laptop, one under the other on a phone.
FIGURE_WIDTH = 262


def look() -> Look:
    return feed.current_feed().look(datetime.now(UTC))


def clock() -> Clock:
    return clock_of(st.context.timezone, is_local=bool(st.session_state.get("is_local")))


def is_dark() -> bool:
    return st.context.theme.type == "dark"


def live(*parts: Part) -> None:
    """Draw the parts of a page, and again whenever the browser's timer asks; no tab, no work.

    One timer for all: of two that ask in the same moment Streamlit 1.67 drops what the first has
    drawn, when it is not sent yet as the second begins. A timer is set only by a run of the whole
    page, so a session whose timer is not that of the pace any more asks for one.
    """
    interval = st.session_state.setdefault("interval", process.current_pace().interval)

    def timed() -> None:
        with process.current_pace().run():
            # Places that stay: an element that moves up is drawn twice until the run has ended.
            for place, part in zip([st.container() for _ in parts], parts, strict=True):
                with place:
                    part()
        if st.session_state.get("interval") != process.current_pace().interval:
            st.session_state["interval"] = process.current_pace().interval
            st.rerun()

    st.fragment(timed, run_every=interval)()


def draw_head() -> None:
    """Which market, what is wrong, and the time: first on every page."""
    seen, told = look(), clock()
    # Places that stay: an element that moves up is drawn twice until the run has ended.
    market, trouble, line = (st.container() for _ in range(3))
    with market:
        draw_notice(states.market_notice(seen.view, told))
    with trouble:
        draw_notice(states.trouble_notice(seen.view, seen.now, told))
    pace = process.current_pace()
    slow = " (slowed down: many viewers)" if pace.is_stretched else ""
    line.caption(f"{told.stamp(seen.now)} · refreshed every {pace.interval:g} s{slow}")


def draw_start(seen: Look) -> bool:
    """On a first start, what is still awaited; gives whether there is something to show."""
    awaited = states.awaited(seen.view)
    is_away = seen.view.tail.state in ("away", "stopped") and bool(seen.view.kept.latest)
    if not is_away and not (seen.known and all(done for _, done in awaited)):
        steps = [
            f"{':material/check_circle:' if done else ':material/hourglass_empty:'} {what}"
            + ("" if done else " — **waiting**")
            for what, done in awaited
        ]
        st.info("**Starting.** This page fills by itself.\n\n" + "  \n".join(steps))
    return bool(seen.known)


def draw_figures(figures: list[states.Figure]) -> None:
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
            width=FIGURE_WIDTH,
        )


def table_height(rows: int, most: int) -> int:
    """Pixels of a table that shows all its rows, or scrolls."""
    return min(38 + 35 * rows, most)


def draw_notice(notice: states.Notice | None) -> None:
    if notice is not None:
        getattr(st, notice.level)(notice.text, icon=notice.icon)


def hold(*keys: str) -> None:
    """Tell the browser the choices again in a run of the whole page."""
    for key in keys:
        if key in st.session_state:
            st.session_state[key] = st.session_state[key]


def chosen_first(chosen: str, names: Iterable[str]) -> list[str]:
    """Options for a picker whose value was set here: a busy browser may show the first instead."""
    return [chosen, *sorted(name for name in names if name != chosen)]


def open_symbol(symbol: str) -> None:
    """Go to the page of a symbol."""
    st.switch_page(st.session_state["pages"]["symbol"], query_params={"symbol": symbol})
