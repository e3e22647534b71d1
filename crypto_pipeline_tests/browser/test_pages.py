"""Each page in each state, in headless Chromium, over fake markets; the pictures are kept."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from crypto_pipeline_tests.browser.test_screens import keep
from crypto_pipeline_tests.conftest import ROOT, free_port

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.timeout(600)]

APP = Path(__file__).with_name("fake_app.py")
PATIENCE_MS = 60_000

# Page, state, and what a person must read there.
SCREENS = [
    ("market", "starting", "This page fills by itself"),
    ("market", "empty", "waiting"),
    ("market", "half", "SIMULATED DATA"),
    ("market", "full", "Most volatile now"),
    ("market", "live", "LIVE MARKET"),
    ("market", "recorded", "RECORDED DATA"),
    ("market", "stale", "no new poll for"),
    ("market", "away", "Broker away"),
    ("market", "stopped", "The reader has stopped"),
    ("symbol", "starting", "This page fills by itself"),
    ("symbol", "full", "Last move, z-score"),
    ("symbol", "stale", "no new poll for"),
    ("symbol", "away", "Values below are the last known"),
    ("forecasts", "empty", "This page fills by itself"),
    ("forecasts", "full", "Every model, one symbol"),
    ("pipeline", "empty", "No stage has reported yet"),
    ("pipeline", "full", "Open Dagster"),
    ("alerts", "empty", "Nothing is known of the market yet"),
    ("alerts", "full", "Over a threshold now"),
]


@pytest.fixture(scope="module")
def server(browser: Browser) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=None)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """One for all pages: what Streamlit and Plotly bring is fetched and compiled once."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


def open_page(
    visitor: BrowserContext, address: str, *, width: int = 1280, dark: bool = False
) -> Page:
    page = visitor.new_page()
    page.set_viewport_size({"width": width, "height": 2000})
    page.emulate_media(color_scheme="dark" if dark else "light")
    for attempt in range(60):
        try:
            page.goto(address)
            break
        except Exception as error:
            if "ERR_CONNECTION_REFUSED" not in str(error) or attempt == 59:
                raise
            page.wait_for_timeout(500)
    expect(page.get_by_text("refreshed every")).to_be_visible(timeout=PATIENCE_MS)
    return page


def close(page: Page) -> None:
    assert page.get_by_test_id("stException").count() == 0
    page.close()


@pytest.mark.parametrize(("name", "state", "told"), SCREENS)
def test_a_page_says_what_its_state_is(
    server: str, visitor: BrowserContext, name: str, state: str, told: str
) -> None:
    page = open_page(visitor, f"{server}/?page={name}&market={state}")
    expect(page.get_by_text(told).first).to_be_visible(timeout=PATIENCE_MS)
    if state in ("full", "stale", "away") and name in ("market", "symbol"):
        expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    keep(page, f"{name}-{state}")
    close(page)


@pytest.mark.parametrize("name", ["market", "symbol", "forecasts", "pipeline", "alerts"])
def test_a_hostile_market_is_text(server: str, visitor: BrowserContext, name: str) -> None:
    page = open_page(visitor, f"{server}/?page={name}&market=hostile")
    expect(
        page.get_by_test_id("stDataFrame").or_(page.locator(".js-plotly-plot")).first
    ).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_timeout(1_000)
    assert page.title() != "owned"
    assert page.locator("img[src='x'], a[href*='evil']").count() == 0
    keep(page, f"{name}-hostile")
    close(page)


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1280, True)])
@pytest.mark.parametrize("name", ["market", "symbol"])
def test_a_phone_and_a_dark_screen_show_it_too(
    server: str, visitor: BrowserContext, name: str, width: int, dark: bool
) -> None:
    page = open_page(visitor, f"{server}/?page={name}&market=full", width=width, dark=dark)
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0, "the page is wider than its screen"
    keep(page, f"{name}-{width}{'-dark' if dark else ''}")
    close(page)


def await_refresh(page: Page) -> None:
    clock = page.get_by_text("refreshed every").inner_text()
    expect(page.get_by_text("refreshed every")).not_to_have_text(clock)


def test_a_zoom_outlives_refreshes_and_the_address_keeps_the_choice(
    server: str, visitor: BrowserContext
) -> None:
    page = open_page(visitor, f"{server}/?page=symbol&symbol=btc-usdt&market=full")
    chart = page.locator(".js-plotly-plot")
    expect(chart).to_be_visible()
    drag = page.locator(".js-plotly-plot .nsewdrag").first
    box = drag.bounding_box()
    assert box is not None
    shown = "document.querySelector('.js-plotly-plot').layout.xaxis.range.join()"
    whole = page.evaluate(shown)
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 40)
    # Between two refreshes: a chart that is drawn anew while a wheel turns forgets the turn.
    await_refresh(page)
    page.mouse.wheel(0, -400)
    page.wait_for_timeout(500)
    zoomed = page.evaluate(shown)
    assert zoomed != whole
    await_refresh(page)
    await_refresh(page)
    assert page.evaluate(shown) == zoomed
    page.get_by_text("6 h", exact=True).click()
    expect(page).to_have_url(re.compile("hours=6"))
    assert "symbol=btc-usdt" in page.url.lower()
    expect(page.get_by_role("heading", name=re.compile("BTC-USDT ·"))).to_be_visible()
    close(page)


def test_the_keyboard_alone_reaches_a_symbol(server: str, visitor: BrowserContext) -> None:
    page = open_page(visitor, f"{server}/?market=full")
    expect(page.get_by_role("heading", name="Watch-list")).to_be_visible()
    link = page.get_by_role("link", name="Symbol").first
    for _ in range(40):
        page.keyboard.press("Tab")
        if link.evaluate("node => node === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_text("Last move, z-score")).to_be_visible()
    close(page)
