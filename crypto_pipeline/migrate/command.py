"""`crypto-pipeline migrate`: state folder and tables to today's format, a line each."""

from __future__ import annotations

from contextlib import ExitStack

from rich.console import Console

from crypto_pipeline import state_format
from crypto_pipeline.embedded import up_lock
from crypto_pipeline.embedded.running import services
from crypto_pipeline.formats import FORMAT, refuse_newer
from crypto_pipeline.lake import writer_lock
from crypto_pipeline.lake.session import disconnect
from crypto_pipeline.lake.table import Table
from crypto_pipeline.migrate.found import table_formats
from crypto_pipeline.migrate.migrations import after, migrate_table
from crypto_pipeline.pipeline import open_lake
from crypto_pipeline.settings import Settings


def migrate(settings: Settings, console: Console) -> int:
    """The market that is set, else each that the state folder has."""
    markets = state_format.kept(settings)
    for one in markets:
        _migrate(one, console)
    if not markets:
        _say(console, f"Nothing is kept in {settings.state_dir} yet.")
    return 0


def _migrate(settings: Settings, console: Console) -> None:
    """Tables are changed by the one server that writes them, which is started if it is ours."""
    state = state_format.found(settings)
    refuse_newer(f"The state in {settings.home}", state or 0)
    tables = table_formats(settings.lake_root)
    for table, number in tables.items():
        refuse_newer(f"Table {table.key} in {settings.lake_root}", number)
    old = {table: number for table, number in tables.items() if number < FORMAT}
    if state is not None and state < FORMAT:
        _migrate_state(settings, state)
        _say(console, f"state folder: format {state} to {FORMAT}")
    if old:
        _migrate_tables(settings, old, console)
    _say(console, f"Everything in {settings.home} and {settings.lake_root} has format {FORMAT}.")


def _migrate_state(settings: Settings, number: int) -> None:
    for step in after(number):
        if step.state is not None:
            step.state(settings)
        state_format.mark(settings, step.to)


def _migrate_tables(settings: Settings, old: dict[Table, int], console: Console) -> None:
    with ExitStack() as stack:
        if settings.spark_remote is None and not up_lock.is_held(settings):
            stack.enter_context(services(settings, ["spark"], console=console))
        lock = writer_lock.take(settings.home / writer_lock.NAME)
        stack.callback(lock.release)
        lake = open_lake(settings)
        stack.callback(disconnect, lake.spark)
        for table, number in old.items():
            migrate_table(lake, table, found=number)
            _say(console, f"{table.key}: format {number} to {FORMAT}")


def _say(console: Console, words: str) -> None:
    console.print(words, markup=False, highlight=False, soft_wrap=True)
