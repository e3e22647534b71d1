"""A held source is let into gold again, with what was held back."""

from __future__ import annotations

from crypto_pipeline.again import held_rows
from crypto_pipeline.errors import NotInLakeError
from crypto_pipeline.holding.sources import held_sources
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.replay.run import drain
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.stage_run import StageRun
from crypto_pipeline.stages import CANDLES


def held_now(lake: Lake) -> dict[str, int]:
    """The held sources, each with the last batch of silver that gold took of it."""
    return held_sources(log.last_commit(lake.path(CANDLES.primary)))


def release(runner: StageRunner, source: str) -> tuple[StageRun, ...]:
    """Take the held rows into gold by one batch, then every stage after it.

    The hold ends with that commit: killed before it, nothing has happened.
    """
    held = held_now(runner.lake)
    if source not in held:
        raise NotInLakeError(
            f"{source} is not held back. Held are: {', '.join(sorted(held)) or 'none'}."
        )
    last = log.last_commit(runner.lake.path(CANDLES.primary))
    to = 0 if last is None else int(last.ranges["batches"]["to"])
    run = runner.run(CANDLES, again=held_rows(source=source, after=held[source], to=to))
    return (run, *drain(runner, after=CANDLES))
