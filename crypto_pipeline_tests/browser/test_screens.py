"""What a person sees: the dashboard and Dagster in headless Chromium, over a running `make up`.

Screenshots of every page are kept in `build/screenshots` for review.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.conftest import ROOT, missing
from crypto_pipeline_tests.embedded.stack import Up, running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.integration,
    pytest.mark.spark,
    pytest.mark.timeout(2700),
]

SHOTS = ROOT / "build" / "screenshots"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FIRST_CHART_MS = 900_000
# A page is drawn within seconds, but beside a first cycle two cores have little left for it.
DRAWN_MS = 60_000


@pytest.fixture(scope="module")
def up(make_settings: Callable[..., Settings]) -> Iterator[Up]:
    if CHROMIUM is None:
        missing("no chromium on PATH: apt-get install chromium")
    settings = make_settings()
    with running(settings) as stack:
        stack.wait_for("Ctrl-C stops all")
        yield stack


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1400, "height": 2000})
    yield context.new_page()
    context.close()


def keep(page: Page, name: str) -> Path:
    SHOTS.mkdir(parents=True, exist_ok=True)
    file = SHOTS / f"{name}.png"
    page.screenshot(path=file, full_page=True)
    return file


def test_the_dashboard_fills_and_its_price_moves(up: Up, page: Page) -> None:
    root = f"http://127.0.0.1:{up.settings.dashboard_port}"
    page.goto(f"{root}/?symbol=BTC-USDT")
    # The source is known with the first poll, which a cold machine may take minutes to make.
    expect(page.get_by_text("SIMULATED DATA")).to_be_visible(timeout=FIRST_CHART_MS)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=FIRST_CHART_MS)
    line = page.get_by_role("heading", name=re.compile(r"BTC-USDT · [\d,.]+"))
    expect(page.get_by_text(re.compile("forecast 60 min from"))).to_be_visible(
        timeout=FIRST_CHART_MS
    )
    expect(page.get_by_text("Last move, z-score")).to_be_visible(timeout=FIRST_CHART_MS)
    before = line.inner_text()
    expect(line).not_to_have_text(before, timeout=150_000)
    expect(page.get_by_text("Starting.")).to_have_count(0, timeout=FIRST_CHART_MS)
    keep(page, "stack-symbol")
    page.goto(root)
    # The watch-list, once: none of what is drawn anew stays behind.
    expect(page.get_by_role("heading", name="Watch-list")).to_have_count(1, timeout=DRAWN_MS)
    expect(page.get_by_test_id("stDataFrame")).to_have_count(1, timeout=DRAWN_MS)
    expect(page.locator(".js-plotly-plot")).to_have_count(2, timeout=DRAWN_MS)
    keep(page, "stack-market")
    assert not page.get_by_test_id("stException").count()


def test_dagster_shows_a_materialised_graph(up: Up, page: Page) -> None:
    root = f"http://127.0.0.1:{up.settings.dagster_port}"
    page.goto(f"{root}/assets/gold/candles_1m?view=overview")
    expect(page.get_by_text("Latest materialization").first).to_be_visible(timeout=DRAWN_MS)
    expect(page.get_by_text("rows_in").first).to_be_visible(timeout=FIRST_CHART_MS)
    keep(page, "dagster-asset")
    page.goto(f"{root}/locations/crypto_pipeline/asset-groups/gold/lineage")
    # Each of the three tables of gold, with its checks.
    expect(page.get_by_text("Latest event")).to_have_count(3, timeout=DRAWN_MS)
    passed = page.get_by_text(re.compile(r"^(1 / 1|2 / 2) Passed$"))
    expect(passed).to_have_count(3, timeout=FIRST_CHART_MS)
    keep(page, "dagster-graph")


def test_the_screen_says_that_the_broker_is_away_and_recovers(up: Up, page: Page) -> None:
    page.goto(f"http://127.0.0.1:{up.settings.dashboard_port}/?symbol=ETH-USDT")
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=FIRST_CHART_MS)
    broker = up.pid_of("kafka.Kafka")
    seen = len(up.text())
    os.kill(broker, signal.SIGSTOP)
    try:
        expect(page.get_by_text(re.compile("broker", re.I)).first).to_be_visible(timeout=120_000)
        expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=DRAWN_MS)
        keep(page, "dashboard-broker-away")
    finally:
        os.kill(broker, signal.SIGKILL)
    up.wait_for(r"up\s+broker\s", after=seen, seconds=90)
    away = page.get_by_test_id("stAlertContentError")
    expect(away).to_have_count(0, timeout=120_000)
