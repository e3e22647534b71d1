"""What a task tells Dagster, as JSON: what each step did, or the error that ended it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from crypto_pipeline.errors import PipelineError
from crypto_pipeline.predictions.fit import described, fit_of
from crypto_pipeline.predictions.live import Scoring
from crypto_pipeline.predictions.training import Training
from crypto_pipeline.stage_run import StageRun

Messages = Sequence[Mapping[str, Any]]
# The word under which a message has what its step did.
RUN, TRAINED, SCORED = "run", "training", "scoring"


def done(step: str, result: StageRun | Training | Scoring) -> dict[str, Any]:
    """The message of a step that ended well."""
    told = asdict(result)
    if isinstance(result, Training):
        fits = [described(fit) for fit in result.fits]
        told |= {"fits": fits, "market_now": _text(result.market_now)}
        return {"step": step, TRAINED: told}
    if isinstance(result, Scoring):
        return {"step": step, SCORED: told}
    return {"step": step, RUN: {**told, "newest_fact_at": _text(result.newest_fact_at)}}


def failed(step: str, error: PipelineError) -> dict[str, Any]:
    """The message of a step that did not; the sentence is for people, the name for Dagster."""
    return {"step": step, "error": type(error).__name__, "sentence": str(error)}


def run_of(messages: Messages, step: str) -> StageRun | None:
    """The stage's run as its task told it; None when it did not get that far."""
    told = _told(messages, step, RUN)
    if told is None:
        return None
    return StageRun(**{**told, "newest_fact_at": _time(told["newest_fact_at"])})


def training_of(messages: Messages, step: str) -> Training | None:
    """What the task told of a training."""
    told = _told(messages, step, TRAINED)
    if told is None:
        return None
    fits = tuple(fit_of(fit) for fit in told["fits"])
    return Training(**{**told, "fits": fits, "market_now": _time(told["market_now"])})


def scoring_of(messages: Messages, step: str) -> Scoring | None:
    """What the task told of a scoring."""
    told = _told(messages, step, SCORED)
    return None if told is None else Scoring(**told)


def error_of(messages: Messages) -> Mapping[str, Any] | None:
    """The message of the step that failed, if it could still tell."""
    told = [message for message in messages if "error" in message]
    return told[-1] if told else None


def _told(messages: Messages, step: str, word: str) -> Mapping[str, Any] | None:
    found = [m[word] for m in messages if m.get("step") == step and word in m]
    return found[-1] if found else None


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
