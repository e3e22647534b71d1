"""What a workspace's refusals and a run's bad ends are in words, with the remedy and the link."""

from __future__ import annotations

from databricks.sdk.errors import (
    NotFound,
    PermissionDenied,
    TooManyRequests,
    Unauthenticated,
)
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service import jobs

from crypto_pipeline.databricks_settings import DatabricksSettings

REMEDIES = {
    "CANCELED": "It was cancelled: the next run takes the same range.",
    "TIMEDOUT": "Raise DATABRICKS_TIMEOUT_MINUTES, or look there why it takes so long.",
    "FAILED": "The output there has the whole trace.",
    "INTERNAL_ERROR": (
        "Check that the compute is there and may be used: DATABRICKS_CLUSTER_ID names a running "
        "cluster that this user may attach to, or serverless is switched on in the workspace."
    ),
}


def is_good(run: jobs.Run) -> bool:
    """Whether the run itself says that it has ended well."""
    return run.state is not None and run.state.result_state == jobs.RunResultState.SUCCESS


def ended(step: str, run: jobs.Run, *, said: str | None) -> str:
    """A run that did not end well; `said` is what its task has told."""
    state = run.state or jobs.RunState()
    known = state.result_state or state.life_cycle_state
    word = "without a state" if known is None else known.value
    if word == "TERMINATING":
        word = "CANCELED"
    reason = (said or state.state_message or "it gives no reason").rstrip(". ")
    remedy = REMEDIES.get(word, REMEDIES["INTERNAL_ERROR"])
    return f"Databricks ended step {step} as {word}: {reason}. {remedy} See {run.run_page_url}."


def refused(step: str, error: Exception, *, settings: DatabricksSettings, link: str | None) -> str:
    """A request that the workspace did not grant or answer."""
    words = _words(error)
    place = settings.host or "the workspace of this machine's profile"
    going = f" The run may still be going: see {link}." if link else " Nothing was started."
    return f"Databricks at {place}, step {step}: {words}. {_remedy(error, settings)}{going}"


def _words(error: Exception) -> str:
    """Without the settings that the SDK prints behind a refusal."""
    return str(error).split(" Config: ")[0].strip().rstrip(".") or type(error).__name__


def _remedy(error: Exception, settings: DatabricksSettings) -> str:
    if isinstance(error, Unauthenticated) or (
        isinstance(error, PermissionDenied) and "token" in _words(error).lower()
    ):
        return "The token is wrong or has expired: make a new one and set DATABRICKS_TOKEN."
    if isinstance(error, PermissionDenied):
        compute = (
            "serverless compute"
            if settings.cluster_id is None
            else f"cluster {settings.cluster_id} (CAN ATTACH TO)"
        )
        return (
            f"Grant this user READ VOLUME and WRITE VOLUME on {settings.volume}, and the use of "
            f"{compute}."
        )
    if isinstance(error, NotFound):
        return (
            f"Check DATABRICKS_VOLUME={settings.volume} and DATABRICKS_CLUSTER_ID="
            f"{settings.cluster_id or ''}, and that the wheel has been uploaded "
            "(docs/databricks.md)."
        )
    if isinstance(error, TooManyRequests):
        return "It was asked too often for five minutes; the next run tries again."
    if isinstance(error, DatabricksError):
        return "The request was refused."
    return "It does not answer: check DATABRICKS_HOST and the network."
