"""What the lake forecast, joined with what came: five minutes of origins at a time.

Each cycle takes the outcomes since the last one, so its work does not grow with history; the
gate is asked once an hour, from the means that are kept of each origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from pyspark.sql import functions as F

from crypto_pipeline.contract.report import HorizonReport
from crypto_pipeline.errors import LakeError
from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.lake import log
from crypto_pipeline.lake.append import append
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.predictions import board, gate, realised
from crypto_pipeline.predictions.gate import Verdict
from crypto_pipeline.predictions.inputs import ORIGIN_STEP
from crypto_pipeline.predictions.schema import FORECASTS, GATES, HORIZONS, MODELS, SCORES

STEP = timedelta(minutes=ORIGIN_STEP)
# Candles of a minute come with more than one poll: an outcome is final a minute later.
SETTLED = timedelta(minutes=1)
# A backlog is scored in bites of this; what is older than the gate's window is left out.
BITE = timedelta(hours=6)
# Closes of so long before show the price step.
STEPS_SEEN = timedelta(hours=2)
GATE_EVERY = timedelta(hours=1)
LONGEST = timedelta(minutes=max(HORIZONS))


@dataclass(frozen=True, slots=True)
class Scoring:
    """Rows written and what the screen is told; no rows and a reason when nothing was due."""

    rows: int
    horizons: list[HorizonReport]
    reason: str


def score(lake: Lake, *, market_now: datetime) -> Scoring:
    """Score the forecasts whose outcome came since the last time, and ask the gate when due.

    `market_now` is the newest minute in gold, so a replay is scored by its own clock.
    """
    last = log.last_commit(lake.path(SCORES))
    span = next_span(last, market_now)
    if span is None:
        return Scoring(0, reports_of(last), "no outcome since the last scoring")
    if log.open_table(lake.path(FORECASTS)) is None:
        return Scoring(0, [], "no forecast was made yet")
    for table in (SCORES, GATES, MODELS):
        lake.ensure(table)
    found = outcomes(lake, *span)
    window = joined(kept(lake, since=market_now - gate.WINDOW), of_all(found))
    verdicts = decide(lake, window, market_now=market_now)
    reports = _reports(lake, window, verdicts, market_now=market_now)
    _keep(lake, found, reports, last=last, through=span[1])
    return Scoring(len(found), reports, "scored")


def newest_reports(lake: Lake) -> list[HorizonReport]:
    """The reports of the last scoring, read from the table's log alone."""
    return reports_of(log.last_commit(lake.path(SCORES)))


def reports_of(scoring: CommitRecord | None) -> list[HorizonReport]:
    reports: list[HorizonReport] = [] if scoring is None else scoring.ranges["horizons"]
    return reports


def next_span(last: CommitRecord | None, market_now: datetime) -> tuple[datetime, datetime] | None:
    """Targets in (from, through], whole five minutes; None when none is complete.

    A cycle of late minutes alone has an older `market_now`: what was scored is not scored again.
    """
    settled = market_now - SETTLED
    # The last minute of a five is the target of an origin that ends at a multiple of five.
    until = settled - (settled - datetime.min.replace(tzinfo=UTC) + timedelta(minutes=1)) % STEP
    since = until - BITE
    if last is not None:
        since = datetime.fromisoformat(last.ranges["scored_through"])
        if since < market_now - gate.WINDOW:
            since = until - BITE
    until = min(until, since + BITE)
    return (since, until) if until > since else None


def outcomes(lake: Lake, since: datetime, until: datetime) -> pd.DataFrame:
    """Rows of SCORES, without the batch, of the forecasts whose target lies in the span."""
    said = lake.read(FORECASTS, since=since - LONGEST, until=until).where(
        (F.col("target_at") > F.lit(since)) & (F.col("target_at") <= F.lit(until))
    )
    minutes = lake.read(VOLATILITY, since=since - STEPS_SEEN, until=until)
    rows = realised.by_origin(realised.losses(said, minutes))
    return _pandas(rows)


def kept(lake: Lake, *, since: datetime) -> pd.DataFrame:
    """What was scored since then: some thousand rows, however many symbols there are."""
    rows = lake.read(SCORES, since=since).where(F.col("scope") == realised.ALL)
    return _pandas(rows.drop("date", "batch"))


def of_all(found: pd.DataFrame) -> pd.DataFrame:
    """The rows over all symbols, which decide."""
    return found[found["scope"] == realised.ALL]


def joined(earlier: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Both, in one frame; an empty one has no types and takes no part."""
    parts = [part for part in (earlier, found) if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else found


def decide(lake: Lake, window: pd.DataFrame, *, market_now: datetime) -> list[Verdict]:
    """The verdicts that hold: the last ones within the hour, else new ones, kept as rows."""
    last = log.last_commit(lake.path(GATES))
    if last is not None:
        age = market_now - datetime.fromisoformat(last.ranges["decided_at"])
        if timedelta(0) <= age < GATE_EVERY:
            return verdicts_of(last)
    verdicts = [gate.judge(window, horizon=horizon) for horizon in HORIZONS]
    pinned = None if last is None else last.ranges["pinned"]
    _decided(lake, verdicts, last=last, at=market_now, row_at=market_now, pinned=pinned)
    return verdicts


def verdicts_of(decision: CommitRecord | None) -> list[Verdict]:
    return [] if decision is None else [Verdict(**one) for one in decision.ranges["verdicts"]]


def last_decision(lake: Lake) -> CommitRecord:
    """Raises LakeError before the gate's first decision."""
    last = log.last_commit(lake.path(GATES))
    if last is None:
        raise LakeError("The gate has not decided yet. Wait until a forecast has come true.")
    return last


def pin(lake: Lake, fit: dict[str, Any] | None) -> None:
    """Let a training's `fits` serve, with its `model_version` and `trained_through`; None: the
    newest again.

    The verdicts stay: the gate says whether a fit serves, this says which.
    """
    last = last_decision(lake)
    at = datetime.fromisoformat(last.ranges["decided_at"])
    row_at = datetime.fromisoformat(last.ranges["row_at"]) + timedelta(microseconds=1)
    _decided(lake, verdicts_of(last), last=last, at=at, row_at=row_at, pinned=fit)


def _decided(
    lake: Lake,
    verdicts: Sequence[Verdict],
    *,
    last: CommitRecord | None,
    at: datetime,
    row_at: datetime,
    pinned: dict[str, Any] | None,
) -> None:
    said = [{name: getattr(v, name) for name in Verdict.__slots__} for v in verdicts]
    version = None if pinned is None else pinned["model_version"]
    rows = [{"decided_at": row_at, "pinned_version": version, **one} for one in said]
    ranges = {
        "decided_at": at.isoformat(),
        "row_at": row_at.isoformat(),
        "verdicts": said,
        "pinned": pinned,
    }
    append(lake, GATES, rows, stage="gate", last=last, ranges=ranges, counts={"rows": len(rows)})


def _reports(
    lake: Lake, window: pd.DataFrame, verdicts: Sequence[Verdict], *, market_now: datetime
) -> list[HorizonReport]:
    fitted, decided = (log.last_commit(lake.path(table)) for table in (MODELS, GATES))
    fit = None if fitted is None else fitted.ranges
    if decided is not None and decided.ranges["pinned"] is not None:
        fit = decided.ranges["pinned"]
    through = None if fit is None else datetime.fromisoformat(fit["trained_through"])
    version = None if fit is None else fit.get("model_version")
    return [
        board.report(
            window, v, market_now=market_now, model_version=version, trained_through=through
        )
        for v in verdicts
    ]


def _keep(
    lake: Lake,
    found: pd.DataFrame,
    reports: list[HorizonReport],
    *,
    last: CommitRecord | None,
    through: datetime,
) -> None:
    rows = [
        {**row, "origin_at": (at := row["origin_at"].to_pydatetime()), "date": at.date()}
        for row in found.to_dict("records")
    ]
    ranges = {"scored_through": through.isoformat(), "horizons": reports}
    append(lake, SCORES, rows, stage="scores", last=last, ranges=ranges, counts={"rows": len(rows)})


def _pandas(rows: Any) -> pd.DataFrame:
    """Collected by rows, times in UTC: the same with and without Arrow."""
    timed = rows.withColumn("origin_at", F.unix_micros("origin_at"))
    found = pd.DataFrame([row.asDict() for row in timed.collect()], columns=timed.columns)
    found["origin_at"] = pd.to_datetime(found["origin_at"].astype("int64"), unit="us", utc=True)
    return found
