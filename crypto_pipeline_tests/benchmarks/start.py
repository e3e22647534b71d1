"""From `make up` to the first chart, everything fetched: `python -m …benchmarks.start --starts 5`.

The stack is started once until it has forecast and then stopped and started again; a browser asks
for the dashboard from the beginning. A start ends when Chromium has drawn the chart of a symbol.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from playwright.sync_api import Error, Page, sync_playwright

from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.benchmarks.figure import Figure, Loop, fixed_loop, keep
from crypto_pipeline_tests.benchmarks.minute import await_forecast
from crypto_pipeline_tests.benchmarks.place import place
from crypto_pipeline_tests.browser.conftest import CHROMIUM, QUIET
from crypto_pipeline_tests.embedded import stack

MOST = 40.0
CHART = ".js-plotly-plot"


def first(settings: Settings) -> None:
    """The cold start, of which nothing is measured."""
    with stack.running(settings):
        await_forecast(settings)


def to_chart(settings: Settings, page: Page) -> float:
    """Seconds from the start of the command to a chart on the screen."""
    address = f"http://127.0.0.1:{settings.dashboard_port}/?symbol=BTC-USDT"
    begun = time.perf_counter()
    with stack.running(settings):
        while True:
            try:
                page.goto(address)
                break
            except Error:
                time.sleep(0.2)
        page.locator(CHART).first.wait_for(timeout=300_000)
        seconds = time.perf_counter() - begun
        page.goto("about:blank")
        return seconds


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=5)
    given = parser.parse_args(arguments)
    begin = fixed_loop()
    with place() as settings, sync_playwright() as driver:
        first(settings)
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page = chromium.new_page()
        seconds = [to_chart(settings, page) for _ in range(given.starts)]
        chromium.close()
    name = "make up to the first chart, everything fetched"
    holds = keep(
        "start",
        [Figure(name=name, unit="s", pairs=[(MOST, one) for one in seconds], most=MOST)],
        loop=Loop(begin=begin, end=fixed_loop()),
        more={"starts": given.starts},
    )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
