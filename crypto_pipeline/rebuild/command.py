"""`crypto-pipeline rebuild`: a line a table, with how the old one differed."""

from __future__ import annotations

from rich.console import Console

from crypto_pipeline.pipeline import open_by_hand
from crypto_pipeline.rebuild.run import TableRebuilt, rebuild
from crypto_pipeline.replay.run import drain
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import RAW


def rebuild_command(settings: Settings, console: Console, *, layer: str) -> int:
    """Cycles of this machine wait meanwhile; ingestion goes on."""

    def show(done: TableRebuilt) -> None:
        console.print(line(done), markup=False, highlight=False)

    with open_by_hand(settings) as pipeline:
        # Nothing may be on its way between two stages.
        drain(pipeline.runner, after=RAW)
        tables = rebuild(pipeline.lake, layer, on_table=show)
    changed = [one.table for one in tables if one.differences]
    console.print(
        f"{len(tables)} tables rebuilt, "
        + (f"changed: {', '.join(changed)}" if changed else "all equal."),
        markup=False,
        highlight=False,
    )
    return 0


def line(done: TableRebuilt) -> str:
    """`silver/ticks: 8 rows, version 5, equal`; with a date when older rows were kept."""
    said = "; ".join(f"{one.rows:,} {one.what} before ({one.example})" for one in done.differences)
    part = "" if done.since is None else f", made anew from {done.since} on"
    return f"{done.table}: {done.rows:,} rows, version {done.version}, {said or 'equal'}{part}"
