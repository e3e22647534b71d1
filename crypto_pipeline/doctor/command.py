"""`crypto-pipeline doctor`: every outside thing looked at once, a line each."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from crypto_pipeline.doctor import databricks, kafka, machine, market, spark, store
from crypto_pipeline.doctor.finding import Finding
from crypto_pipeline.settings import Settings
from crypto_pipeline.source.market import resolve


def doctor(settings: Settings, console: Console, *, writes: bool) -> int:
    """0 when nothing is wrong, 1 else; each line is shown as soon as it is known."""
    wrongs = 0
    for finding in findings(settings, writes=writes):
        console.print(finding.line(), markup=False, highlight=False, soft_wrap=True)
        wrongs += finding.verdict == "wrong"
    console.print("Nothing is wrong." if wrongs == 0 else f"Wrong: {wrongs}.")
    return 1 if wrongs else 0


def findings(settings: Settings, *, writes: bool) -> Iterator[Finding]:
    yield from market.look(settings)
    decided = resolve(settings).settings
    yield from machine.look(decided)
    yield from store.look(decided, writes=writes)
    yield from kafka.look(decided)
    yield from spark.look(decided)
    yield from databricks.look(decided.databricks)
