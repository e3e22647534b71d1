"""The services of the laptop stack as data, in the order in which they start."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from crypto_pipeline.embedded import broker, dagster_home, spark_guard, spark_server
from crypto_pipeline.embedded.java import JavaHome
from crypto_pipeline.embedded.launch import PROJECT_ROOT, Launch
from crypto_pipeline.settings import Settings
from crypto_pipeline.state_format import open_state
from crypto_pipeline.store_settings import is_in_store

# While a run is under way its processes do not end when asked; a run is safe to kill.
DAGSTER_STOP_SECONDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """`ports` maps the setting that changes a port to the port.

    It starts when everything in `after` is ready, and stops before them.
    """

    name: str
    launch: Launch
    is_ready: Callable[[], bool]
    ports: dict[str, int]
    after: tuple[str, ...] = ()
    start_seconds: int = 120
    stop_seconds: int = 6
    stop_signal: Literal["TERM", "INT"] = "TERM"
    address: str = ""


def table(settings: Settings, java: JavaHome) -> tuple[Service, ...]:
    """Every service that this market needs."""
    simulated = () if settings.market == "live" else (_simulator(settings),)
    base = (_broker(settings, java), _spark(settings, java), *simulated)
    # The daemon launches runs at once, and they would fail while one of these is still starting.
    needed = (*(service.name for service in base), "code-server", "dagster")
    dagster = _dagster(settings, daemon_after=needed)
    return (*base, *dagster, _dashboard(settings), _metrics(settings))


def prepare(settings: Settings, java: JavaHome) -> None:
    """Write what the services read: configuration, folders, the Spark token."""
    open_state(settings)
    spark_server.prepare(settings)
    spark_guard.prepare(settings, spark_server.launch(settings, java))
    broker.prepare(settings, java)
    dagster_home.prepare(settings)


def answers(port: int, path: str, *, host: str = "127.0.0.1") -> bool:
    """Whether an HTTP server of this machine answers `path` with a success."""
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _broker(settings: Settings, java: JavaHome) -> Service:
    return Service(
        name="broker",
        launch=broker.launch(settings, java),
        is_ready=lambda: broker.is_ready(settings),
        ports={
            "KAFKA_PORT": settings.kafka_port,
            "KAFKA_CONTROLLER_PORT": settings.kafka_controller_port,
        },
        address=f"{broker.HOST}:{settings.kafka_port}",
    )


def _spark(settings: Settings, java: JavaHome) -> Service:
    return Service(
        name="spark",
        launch=spark_guard.launch(settings, spark_server.launch(settings, java)),
        is_ready=lambda: spark_server.is_ready(settings),
        ports={"SPARK_PORT": settings.spark_port},
        address=f"sc://localhost:{settings.spark_port}",
    )


def _simulator(settings: Settings) -> Service:
    return Service(
        name="simulator",
        launch=_python(settings, "-m", "crypto_pipeline.simulator"),
        is_ready=lambda: answers(settings.simulator_port, "/api/v3/time"),
        ports={"SIMULATOR_PORT": settings.simulator_port},
        address=f"http://127.0.0.1:{settings.simulator_port}",
    )


def _dagster(settings: Settings, *, daemon_after: tuple[str, ...]) -> tuple[Service, ...]:
    """Code server, web server, and last the daemon, which launches runs."""
    home = dagster_home.folder(settings)
    workspace = ("-w", str(home / "workspace.yaml"))
    code = str(settings.code_server_port)
    web = ("-h", "127.0.0.1", "-p", str(settings.dagster_port))
    return (
        Service(
            name="code-server",
            launch=_dagster_python(
                settings,
                *("crypto_pipeline.resources.code_server", "-h", "127.0.0.1", "-p", code),
                *("-m", "crypto_pipeline.definitions", "--use-python-environment-entry-point"),
                *("--location-name", "crypto_pipeline", "--log-level", "warning"),
            ),
            is_ready=lambda: dagster_home.is_code_served(settings),
            ports={"CODE_SERVER_PORT": settings.code_server_port},
            stop_seconds=DAGSTER_STOP_SECONDS,
            stop_signal="INT",
            address=f"127.0.0.1:{settings.code_server_port}",
        ),
        Service(
            name="dagster",
            stop_seconds=DAGSTER_STOP_SECONDS,
            launch=_dagster_python(settings, "dagster_webserver", *web, *workspace),
            is_ready=lambda: answers(settings.dagster_port, "/server_info"),
            ports={"DAGSTER_PORT": settings.dagster_port},
            after=("code-server",),
            address=f"http://127.0.0.1:{settings.dagster_port}",
        ),
        Service(
            name="dagster-daemon",
            stop_seconds=DAGSTER_STOP_SECONDS,
            launch=_dagster_python(settings, "dagster._daemon", "run", *workspace),
            is_ready=lambda: dagster_home.is_daemon_alive(settings),
            ports={},
            after=daemon_after,
        ),
    )


def _dashboard(settings: Settings) -> Service:
    return Service(
        name="dashboard",
        launch=_python(
            settings,
            *("-m", "dashboard"),
            *("--server.address", "127.0.0.1", "--server.port", str(settings.dashboard_port)),
            *("--server.headless", "true", "--browser.gatherUsageStats", "false"),
            *("--server.fileWatcherType", "none"),
        ),
        is_ready=lambda: answers(settings.dashboard_port, "/_stcore/health"),
        ports={
            "DASHBOARD_PORT": settings.dashboard_port,
            "DASHBOARD_METRICS_PORT": settings.dashboard_metrics_port,
        },
        after=("broker",),
        address=f"http://127.0.0.1:{settings.dashboard_port}",
    )


def _metrics(settings: Settings) -> Service:
    """Ready when it serves; whether ingestion is well, which it is not yet, is its /healthz."""
    host, port = settings.metrics_host, settings.metrics_port
    return Service(
        name="metrics",
        launch=_python(settings, "-m", "crypto_pipeline.observed"),
        is_ready=lambda: answers(port, "/metrics", host=host),
        ports={"METRICS_PORT": port},
        address=f"http://{host}:{port}",
    )


def _python(settings: Settings, *arguments: str, **extra: str) -> Launch:
    env = {**settings.environment(), "PYTHONPATH": str(PROJECT_ROOT), "PYTHONUNBUFFERED": "1"}
    return Launch(argv=(sys.executable, *arguments), env={**env, **extra})


def _dagster_python(settings: Settings, *arguments: str) -> Launch:
    home = str(dagster_home.folder(settings))
    # Its clients of the object store know only the standard variables.
    store = settings.store.environment() if is_in_store(settings.lake_root) else {}
    return _python(settings, "-m", *arguments, DAGSTER_HOME=home, **store)
