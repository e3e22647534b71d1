"""Fit the pooled models on the lake's own history and keep their coefficients as rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from crypto_pipeline.contract.message import format_time
from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.lake import log
from crypto_pipeline.lake.append import append
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.lake.tuning import tune
from crypto_pipeline.predictions.fit import Fit, described
from crypto_pipeline.predictions.history import fit_history
from crypto_pipeline.predictions.recipe import WINDOW_DAYS
from crypto_pipeline.predictions.schema import MODELS

# Fitted anew when the market has gone on this far since the last fit.
REFIT_AFTER = timedelta(hours=6)
HISTORY = timedelta(days=WINDOW_DAYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a training did: fits by horizon and model, or the reason why there is none."""

    reason: str
    fits: tuple[Fit, ...] = ()
    model_version: str | None = None
    input_version: int | None = None
    market_now: datetime | None = None


def train(lake: Lake, *, market_now: datetime, force: bool = False) -> Training:
    """Fit every horizon and append the coefficients; skip while the last fit is fresh.

    `market_now` is the newest minute in gold: training never looks past it, and a replay of
    an old recording is fresh by its own clock.
    """
    lake.ensure(MODELS)
    last = log.last_commit(lake.path(MODELS))
    # A commit of an older version says nothing of its coefficients, and nothing is served from it.
    if last is not None and "fits" in last.ranges and not force:
        through = datetime.fromisoformat(last.ranges["trained_through"])
        if timedelta(0) <= market_now - through < REFIT_AFTER:
            return Training(reason="the last fit is fresh")
    state = log.open_table(lake.path(VOLATILITY))
    if state is None:
        return Training(reason="gold/volatility is not there yet")
    is_elsewhere = lake.engine == "databricks"
    if not is_elsewhere:
        tune(lake.spark, rows=log.row_count(lake.path(VOLATILITY)))
    history = lake.read(VOLATILITY, since=market_now - HISTORY, until=market_now)
    fits = fit_history(history, on_driver=is_elsewhere)
    if not fits:
        return Training(reason="too few complete minutes to fit on")
    return _keep(lake, fits, last=last, input_version=state.version, market_now=market_now)


def _keep(
    lake: Lake,
    fits: tuple[Fit, ...],
    *,
    last: CommitRecord | None,
    input_version: int,
    market_now: datetime,
) -> Training:
    version = format_time(datetime.now(UTC))
    append(
        lake,
        MODELS,
        [_row(fit, version, input_version) for fit in fits],
        stage="training",
        last=last,
        ranges={
            "trained_through": market_now.isoformat(),
            "input_version": input_version,
            "model_version": version,
            "fits": [described(fit) for fit in fits],
        },
        counts={"fits": len(fits)},
    )
    return Training(
        fits=fits,
        model_version=version,
        reason="fitted",
        input_version=input_version,
        market_now=market_now,
    )


def _row(fit: Fit, version: str, input_version: int) -> dict[str, Any]:
    values = described(fit)
    return {
        **values,
        "weights": json.dumps(values["weights"]),
        "model_version": version,
        "intercept": fit.by_term["intercept"],
        **{f"weight_{span}": fit.by_term[f"variance_{span}"] for span in ("5m", "60m", "24h")},
        "trained_from": fit.trained_from,
        "trained_through": fit.trained_through,
        "input_version": input_version,
    }
