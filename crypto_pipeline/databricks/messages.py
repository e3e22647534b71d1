"""What a task tells Dagster, as JSON: each step's run, or the error that ended it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from crypto_pipeline.errors import PipelineError
from crypto_pipeline.predictions.har import Fit
from crypto_pipeline.predictions.training import Training
from crypto_pipeline.stage_run import StageRun

RUN_TIMES = ("newest_fact_at",)
FIT_TIMES = ("trained_from", "trained_through")


def done(step: str, result: StageRun | Training) -> dict[str, Any]:
    """The message of a step that ended well."""
    if isinstance(result, Training):
        fits = [_plain(asdict(fit), FIT_TIMES) for fit in result.fits]
        told = {"model_version": result.model_version, "reason": result.reason, "fits": fits}
        return {"step": step, "training": told}
    return {"step": step, "run": _plain(asdict(result), RUN_TIMES)}


def failed(step: str, error: PipelineError) -> dict[str, Any]:
    """The message of a step that did not; the sentence is for people, the name for Dagster."""
    return {"step": step, "error": type(error).__name__, "sentence": str(error)}


def run_of(messages: Sequence[Mapping[str, Any]], step: str) -> StageRun | None:
    """The step's run as its task told it; None when it did not get that far."""
    for message in messages:
        if message.get("step") == step and "run" in message:
            return StageRun(**_timed(message["run"], RUN_TIMES))
    return None


def training_of(messages: Sequence[Mapping[str, Any]], step: str) -> Training | None:
    """What the task told of a training."""
    for message in messages:
        if message.get("step") == step and "training" in message:
            told = message["training"]
            fits = [_timed(fit, FIT_TIMES) for fit in told["fits"]]
            return Training(
                fits=tuple(Fit(**{**fit, "weights": tuple(fit["weights"])}) for fit in fits),
                model_version=told["model_version"],
                reason=told["reason"],
            )
    return None


def error_of(messages: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The message of the step that failed, if it could still tell."""
    told = [message for message in messages if "error" in message]
    return told[-1] if told else None


def _plain(value: dict[str, Any], times: Sequence[str]) -> dict[str, Any]:
    return {**value, **{n: None if value[n] is None else value[n].isoformat() for n in times}}


def _timed(told: Mapping[str, Any], times: Sequence[str]) -> dict[str, Any]:
    read = {n: None if told[n] is None else datetime.fromisoformat(told[n]) for n in times}
    return {**told, **read}
