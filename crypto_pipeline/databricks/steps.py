"""What Databricks runs, by name: the stages after raw, the training and the scoring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from crypto_pipeline.errors import SettingsError
from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.planned_input import totals
from crypto_pipeline.predictions.live import Scoring, score
from crypto_pipeline.predictions.schema import FORECASTS, GATES, MODELS, SCORES
from crypto_pipeline.predictions.training import Training, train
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.stage_run import StageRun
from crypto_pipeline.stages import STAGES

TRAINING, SCORING = "training", "scores"
# The layers in the order of the data, each with its steps.
LAYER_STEPS: Mapping[str, tuple[str, ...]] = {
    "bronze": ("bronze",),
    "silver": ("silver",),
    "gold": ("candles", "volatility", "summary"),
    "predictions": (TRAINING, "predictions", SCORING),
}
BY_NAME = {stage.name: stage for stage in STAGES if not stage.topics}
# What the steps of the last layer read of each other, and of gold, whoever wrote it.
SHARED = (VOLATILITY, FORECASTS, MODELS, GATES, SCORES)
NAMES = tuple(step for steps in LAYER_STEPS.values() for step in steps)

NO_MINUTE = "gold/volatility has no minute yet"

Report = Callable[[dict[str, Any]], None]


def parse_steps(text: str) -> tuple[str, ...]:
    """Names with commas between, or the name of a layer for all of its steps.

    >>> parse_steps("gold")
    ('candles', 'volatility', 'summary')
    """
    if text in LAYER_STEPS:
        return LAYER_STEPS[text]
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names or not set(names) <= set(NAMES):
        raise SettingsError(
            f"steps is {text!r}. Name a layer ({', '.join(LAYER_STEPS)}), or steps with commas "
            f"between: {', '.join(NAMES)}."
        )
    return names


def run_step(runner: StageRunner, name: str) -> StageRun | Training | Scoring:
    """Run what is due of one step, in bites."""
    if name in LAYER_STEPS["predictions"]:
        for table in SHARED:
            runner.lake.register(table)
    if name in BY_NAME:
        return runner.drain(BY_NAME[name])
    now = market_now(runner.lake)
    if name == SCORING:
        return Scoring(0, [], NO_MINUTE) if now is None else score(runner.lake, market_now=now)
    if now is None:
        return Training(reason=NO_MINUTE)
    return train(runner.lake, market_now=now)


def market_now(lake: Lake) -> datetime | None:
    """The newest minute that the last batch of volatility was about."""
    record = log.last_commit(lake.path(VOLATILITY))
    if record is None:
        return None
    _, span = totals(record.ranges["batches"].get("rows", {}).values())
    return None if span is None else span[1]
