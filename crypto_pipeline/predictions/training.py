"""Fit the pooled models on the lake's own history and keep their coefficients as rows."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from crypto_pipeline.contract.message import format_time
from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.lake import log
from crypto_pipeline.lake.commit import Write, commit
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.lake.tuning import tune
from crypto_pipeline.predictions.fit import Fit, described
from crypto_pipeline.predictions.history import fit_history
from crypto_pipeline.predictions.recipe import WINDOW_DAYS
from crypto_pipeline.predictions.schema import MODELS
from crypto_pipeline.version import VERSION

# Fitted anew when the market has gone on this far since the last fit.
REFIT_AFTER = timedelta(hours=6)
HISTORY = timedelta(days=WINDOW_DAYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a training did: fits by horizon and model, or the reason why there is none."""

    fits: tuple[Fit, ...]
    model_version: str | None
    reason: str
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
            return Training(fits=(), model_version=None, reason="the last fit is fresh")
    state = log.open_table(lake.path(VOLATILITY))
    if state is None:
        return Training(fits=(), model_version=None, reason="gold/volatility is not there yet")
    is_elsewhere = lake.engine == "databricks"
    if not is_elsewhere:
        tune(lake.spark, rows=log.row_count(lake.path(VOLATILITY)))
    history = lake.read(VOLATILITY, since=market_now - HISTORY, until=market_now)
    fits = fit_history(history, on_driver=is_elsewhere)
    if not fits:
        return Training(fits=(), model_version=None, reason="too few complete minutes to fit on")
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
    batch = 1 if last is None else last.batch + 1
    rows = [_row(fit, version, input_version, batch) for fit in fits]
    record = CommitRecord(
        stage="training",
        batch=batch,
        write_id=str(uuid.uuid4()),
        ranges={
            "trained_through": market_now.isoformat(),
            "input_version": input_version,
            "model_version": version,
            "fits": [described(fit) for fit in fits],
        },
        counts={"fits": len(fits)},
        outputs={},
        code_version=VERSION,
        lease_epoch=lake.lease_epoch,
    )
    frame = lake.spark.createDataFrame(rows, MODELS.schema)
    commit(Write(path=lake.path(MODELS), rows=frame, row_count=len(rows)), record)
    return Training(
        fits=fits,
        model_version=version,
        reason="fitted",
        input_version=input_version,
        market_now=market_now,
    )


def _row(fit: Fit, version: str, input_version: int, batch: int) -> tuple[object, ...]:
    values = {
        **described(fit),
        "model_version": version,
        "intercept": fit.by_term["intercept"],
        **{f"weight_{span}": fit.by_term[f"variance_{span}"] for span in ("5m", "60m", "24h")},
        "trained_from": fit.trained_from,
        "trained_through": fit.trained_through,
        "input_version": input_version,
        "batch": batch,
    }
    values["weights"] = json.dumps(values["weights"])
    return tuple(values[name] for name in MODELS.columns)
