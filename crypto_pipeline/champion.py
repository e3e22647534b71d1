"""`train`, `promote` and `rollback`: a fit by hand, and which of the fits serves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from rich.console import Console

from crypto_pipeline.errors import LakeError
from crypto_pipeline.lake import log
from crypto_pipeline.model_registry import CHALLENGER, Registry, open_registry
from crypto_pipeline.pipeline import open_pipeline
from crypto_pipeline.predictions.live import last_decision, pin
from crypto_pipeline.predictions.schema import GATES
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import VOLATILITY


def train(settings: Settings, console: Console) -> int:
    """Fit now, however fresh the last fit is; 1 when there is nothing to fit on."""
    with open_pipeline(settings) as pipeline:
        last = log.last_commit(pipeline.lake.path(VOLATILITY.primary))
        newest = None if last is None else last.outputs[VOLATILITY.primary.key][2]
        if newest is None:
            raise LakeError("gold/volatility has no minute yet: wait for a cycle.")
        now = datetime.fromtimestamp(newest, tz=UTC)
        done = pipeline.fit(market_now=now, force=True)
    console.print(f"{len(done.fits)} fits: {done.reason}.", highlight=False)
    return 0 if done.fits else 1


def promote(settings: Settings, console: Console, *, version: int | None) -> int:
    """Put a version in place, the challenger unless one is named; the newest is not held."""
    return _serve(settings, console, lambda registry: version or registry.newest())


def rollback(settings: Settings, console: Console) -> int:
    """Put the champion before this one in place and hold it until the next `promote`."""
    return _serve(settings, console, lambda registry: registry.earlier_champion())


def _serve(settings: Settings, console: Console, choose: Callable[[Registry], int]) -> int:
    """The alias is moved last: what a kill interrupts is chosen again by the same command."""
    with open_pipeline(settings) as pipeline:
        pipeline.lake.refuse_foreign(GATES)
        last_decision(pipeline.lake)
        registry = open_registry(settings)
        number = choose(registry)
        model = registry.read(number)
        fit = {name: model[name] for name in ("model_version", "trained_through", "fits")}
        is_newest = number == registry.version_of(CHALLENGER)
        pin(pipeline.lake, None if is_newest else fit)
        registry.promote(number)
    held = "" if is_newest else ", until `crypto-pipeline promote`"
    console.print(
        f"Version {number}, fitted {fit['model_version']}, is champion{held}.", highlight=False
    )
    return 0
