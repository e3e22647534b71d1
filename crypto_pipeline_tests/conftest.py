"""What every test may ask for: recorded data, free ports, a broker, a Spark server.

Servers are started once a session, on free ports of 127.0.0.1, and stopped by process id. Two
processes may share the tests (`-n 2`, as `make test` does), each with servers of its own. With
REQUIRE_ALL=1 (as in CI) a test that would be skipped for a missing part fails instead. No test
and no Python process that it starts can connect beyond loopback.
"""

from __future__ import annotations

import itertools
import os
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import crypto_pipeline_tests.loopback.sitecustomize  # noqa: F401 - it guards this process too
from crypto_pipeline import settings as settings_module
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.short_lived import short_lived

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from xdist.scheduler import LoadScopeScheduling

    from crypto_pipeline.lake.location import Lake
    from crypto_pipeline.run_stage import StageRunner

ROOT = Path(__file__).resolve().parent.parent
GUARD = ROOT / "crypto_pipeline_tests" / "loopback"
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(GUARD), *filter(None, [os.environ.get("PYTHONPATH")])]
)
SHARED_DATA = ROOT.parent / "shared" / "data"

# Below the ports that systems give to outgoing connections. Each of the two processes of one run
# has its own thousands, and other runs on this machine begin elsewhere.
PORTS = itertools.count(
    10_000
    + 11_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    + random.SystemRandom().randrange(8_000)
)

# Every port that a stack listens on.
PORT_NAMES = (
    "KAFKA_PORT",
    "KAFKA_CONTROLLER_PORT",
    "SPARK_PORT",
    "SIMULATOR_PORT",
    "DAGSTER_PORT",
    "CODE_SERVER_PORT",
    "DASHBOARD_PORT",
    "METRICS_PORT",
    "DASHBOARD_METRICS_PORT",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    from crypto_pipeline_tests.side_by_side import InTurns

    return InTurns(config, log)


def missing(reason: str) -> None:
    """Skip with a reason, or fail with it where everything is required."""
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """One that nothing listens on, and that is given out once in a run of the tests."""
    for port in PORTS:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no free port")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded market data; absent outside our own checkouts, so never required."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the recorded market data is not beside this checkout")
    return SHARED_DATA


@pytest.fixture(scope="session")
def make_settings(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Settings]:
    """Settings in a fresh state folder on free ports; options are settings by name."""

    def make(**options: str) -> Settings:
        state = tmp_path_factory.mktemp("state")
        ports = {name: str(free_port()) for name in PORT_NAMES}
        values = {"STATE_DIR": str(state), "MARKET": "simulated", **ports, **options}
        return settings_module.load(values, env_file=state / "no.env")

    return make


@pytest.fixture(scope="session")
def broker(make_settings: Callable[..., Settings]) -> Iterator[Settings]:
    """Settings whose Kafka is a real broker, running."""
    from crypto_pipeline.embedded import jars
    from crypto_pipeline.embedded.running import services

    settings = make_settings()
    if jars.missing(jars.needed(settings), jars.folder(settings)):
        missing("the jars of the broker and of Spark are not here: `make test` with a network")
    with short_lived(), services(settings, ["broker"]):
        yield settings


@pytest.fixture(scope="session")
def servers(broker: Settings) -> Iterator[Settings]:
    """The broker's settings, with a real Spark Connect server beside it."""
    from crypto_pipeline.embedded.running import services
    from crypto_pipeline.stream.topics import ensure

    with short_lived(), services(broker, ["spark"]):
        ensure(broker)
        yield broker


@pytest.fixture(scope="session")
def spark(servers: Settings) -> Iterator[object]:
    """The one Spark session of the tests, through Connect as in production."""
    from crypto_pipeline.lake.session import connect, disconnect

    session = connect(servers, role="tests")
    yield session
    disconnect(session)


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    """An empty lake in a folder of its own."""
    from crypto_pipeline.lake.location import Lake

    return Lake(spark=spark, root=str(tmp_path / "lake"), market="simulated")


@pytest.fixture
def runner(lake: Lake, servers: Settings) -> StageRunner:
    """Reads from where the topics end now: the broker is shared with other tests."""
    from crypto_pipeline_tests.topics import reading_from_now

    return reading_from_now(lake, servers)
