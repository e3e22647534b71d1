"""Instruments, stages and polls as the tables of the screen. Pure: `now` is given."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

import pandas as pd

from dashboard.buffers import Kept
from dashboard.frames import FORECAST_MINUTES, Instrument
from dashboard.points import CandlePoint, GapPoint, HorizonPoint, StatusPoint
from dashboard.words import (
    NOTHING,
    Clock,
    as_percent,
    change_percent,
    judge_age,
    plain_text,
    say_age,
    say_band,
)

SPARK_MINUTES = 360
SPARK_POINTS = 60
RUNS = 20
# What the columns of the watch-list can be put in order by, and whether the greatest comes first.
ORDERS = {
    "Volatility rank": ("rank", False),
    "Symbol": ("symbol", False),
    "Change 5 m": ("5m", True),
    "Change 1 h": ("1h", True),
    "Change 24 h": ("24h", True),
    "Volatility 24 h": ("volatility 24h", True),
    "Forecast 60 m": ("forecast", True),
    "Spread": ("spread", True),
}


def market_table(known: Sequence[Instrument]) -> pd.DataFrame:
    """The watch-list; column names are what the page configures."""
    return pd.DataFrame([_market_row(one) for one in known])


def found_rows(table: pd.DataFrame, *, search: str, order: str, is_reversed: bool) -> pd.DataFrame:
    """The rows whose symbol holds the text, in the order asked for; unknown values come last."""
    column, falls = ORDERS.get(order, ORDERS["Volatility rank"])
    wanted = table["symbol"].str.upper().str.contains(search.strip().upper(), regex=False)
    return table[wanted].sort_values(
        column, ascending=falls == is_reversed, na_position="last", kind="stable"
    )


def movers(known: Sequence[Instrument], *, count: int) -> tuple[list[Instrument], list[Instrument]]:
    """Those that rose and those that fell most within the hour, the most first."""
    moved = [
        (one.summary.return_1h, one)
        for one in known
        if one.summary is not None and one.summary.return_1h
    ]
    moved.sort(key=lambda pair: pair[0], reverse=True)
    rising = [one for change, one in moved if change > 0][:count]
    falling = [one for change, one in reversed(moved) if change < 0][:count]
    return rising, falling


def stage_table(kept: Kept, now: datetime, clock: Clock) -> pd.DataFrame:
    """One row a stage, in the order in which they committed last."""
    reports = sorted(kept.status.values(), key=lambda report: report.committed_at)
    return pd.DataFrame(
        [
            {
                "stage": plain_text(report.stage),
                "state": judge_age(report.committed_at, now).badge,
                "newest fact": clock.day(report.newest_fact_at),
                "lag": _lag(report),
                "behind": report.behind,
                "rows in": report.rows_in,
                "rows out": report.rows_out,
                "rejected": report.rejected,
                "set aside": sum(n for name, n in report.outcomes if name in SET_ASIDE),
                "seconds": report.seconds,
                "batch": report.batch,
            }
            for report in reports
        ]
    )


SET_ASIDE = ("duplicate", "conflict", "too_late")


def source_table(kept: Kept, now: datetime) -> pd.DataFrame:
    """One row a source and purpose: its newest poll, and what it rejected in the hours kept."""
    rejected: dict[tuple[str, str], int] = defaultdict(int)
    failed: dict[tuple[str, str], int] = defaultdict(int)
    for poll in kept.poll_log:
        rejected[(poll.source, poll.purpose)] += poll.rejected
        failed[(poll.source, poll.purpose)] += poll.outcome != "ok"
    polls = sorted(kept.polls, key=lambda poll: poll.broker_at, reverse=True)
    return pd.DataFrame(
        [
            {
                "source": plain_text(poll.source),
                "purpose": plain_text(poll.purpose),
                "state": judge_age(poll.broker_at, now).badge,
                "outcome": plain_text(poll.outcome),
                "asked": poll.asked,
                "published": poll.published,
                "unchanged": poll.unchanged,
                "rejected": poll.rejected,
                "rejected, all seen": rejected[(poll.source, poll.purpose)],
                "not ok, all seen": failed[(poll.source, poll.purpose)],
                "reason": plain_text(poll.reason or ""),
            }
            for poll in polls
        ]
    )


def symbol_table(known: Sequence[Instrument], now: datetime, clock: Clock) -> pd.DataFrame:
    """Freshness of each symbol at the broker and in the lake, and its gaps; the oldest first."""
    never = timedelta.max
    rows = sorted(known, key=lambda one: one.freshness.age or never, reverse=True)
    return pd.DataFrame(
        [
            {
                "symbol": plain_text(one.symbol),
                "state": one.freshness.badge,
                "lake minute": clock.minute(None if one.summary is None else one.summary.minute_at),
                "open gap minutes": _minutes(one.gaps, "open"),
                "given up": _minutes(one.gaps, "given_up"),
                "repaired": _minutes(one.gaps, "repaired"),
            }
            for one in rows
        ]
    )


def gap_table(gaps: Sequence[GapPoint], clock: Clock) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "from": clock.day(gap.from_at),
                "to": clock.day(gap.to_at),
                "minutes": gap.minutes,
                "cause": plain_text(gap.cause.replace("_", " ")),
                "state": plain_text(gap.state.replace("_", " ")),
            }
            for gap in gaps
        ]
    )


def run_table(kept: Kept, now: datetime, *, dagster_url: str) -> pd.DataFrame:
    """The newest runs that committed something, each with its address in Dagster."""
    runs: dict[str, list[StatusPoint]] = {}
    for commit in kept.commits:
        if commit.run_id:
            runs.setdefault(commit.run_id, []).append(commit)
    return pd.DataFrame(
        [
            {
                "run": f"{dagster_url}/runs/{run_id}",
                "age": say_age(max(now - commits[-1].committed_at, timedelta(0))),
                "stages": len(commits),
                "rows in": commits[0].rows_in,
                "rejected": sum(commit.rejected for commit in commits),
                "seconds": round(sum(commit.seconds for commit in commits), 1),
            }
            for run_id, commits in list(runs.items())[::-1][:RUNS]
            if is_run_id(run_id)
        ]
    )


def is_run_id(text: str) -> bool:
    """Only what cannot lead an address elsewhere becomes part of one."""
    return len(text) <= 64 and text.replace("-", "").isalnum() and text.isascii()


def forecast_table(known: Sequence[Instrument], clock: Clock) -> pd.DataFrame:
    """What is served for each symbol and horizon, the most volatile symbol first."""
    return pd.DataFrame(
        [
            {
                "symbol": plain_text(one.symbol),
                "minutes": forecast.horizon_minutes,
                "volatility": as_percent(forecast.volatility),
                "band": say_band(forecast.return_low, forecast.return_high),
                "realised 1 h": None
                if one.summary is None
                else as_percent(one.summary.volatility_1h),
                "model": plain_text(forecast.model),
                "from": clock.minute(forecast.origin_at),
                "until": clock.minute(forecast.target_at),
            }
            for one in known
            for forecast in one.forecasts
        ]
    )


def model_table(one: Instrument) -> pd.DataFrame:
    """Every model's newest word about one symbol, side by side."""
    return pd.DataFrame(
        [
            {
                "minutes": forecast.horizon_minutes,
                "model": plain_text(forecast.model),
                "served": "★ served" if forecast.is_served else "",
                "volatility": as_percent(forecast.volatility),
                "band": say_band(forecast.return_low, forecast.return_high),
                "version": plain_text(forecast.model_version),
            }
            for forecast in one.models
        ]
    )


def score_table(horizon: HorizonPoint, *, is_live: bool) -> pd.DataFrame:
    """The models of a horizon, the least loss first; walk-forward, or of what was served."""
    scores = sorted(
        horizon.live if is_live else horizon.scores,
        key=lambda score: math.inf if score.qlike is None else score.qlike,
    )
    return pd.DataFrame(
        [
            {
                "model": plain_text(score.model),
                "role": _role(score.model, horizon),
                "QLIKE": score.qlike,
                "median QLIKE": score.median_qlike,
                "pinball": score.pinball,
                "coverage": as_percent(score.coverage),
                "p against baseline": score.p_value,
                "origins": score.origins,
            }
            for score in scores
        ]
    )


def _role(model: str, horizon: HorizonPoint) -> str:
    names = (
        ("★ served", horizon.served),
        ("champion", horizon.champion),
        ("baseline", horizon.baseline),
    )
    return ", ".join(name for name, holder in names if holder == model)


def candle_table(candles: Sequence[CandlePoint]) -> pd.DataFrame:
    """What the page offers as CSV; times in UTC."""
    names = ("open_at", "open", "high", "low", "close", "volume")
    return pd.DataFrame([{name: getattr(candle, name) for name in names} for candle in candles])


def sparkline(candles: Sequence[CandlePoint]) -> list[float]:
    """Every sixth close of six hours, the newest always among them."""
    closes = [candle.close for candle in candles[-SPARK_MINUTES:]]
    return closes[:: -(SPARK_MINUTES // SPARK_POINTS)][::-1]


def _market_row(one: Instrument) -> dict[str, object]:
    summary, forecast = one.summary, one.forecast(FORECAST_MINUTES)
    return {
        "rank": None if summary is None else summary.volatility_rank,
        "symbol": plain_text(one.symbol),
        "state": one.freshness.badge,
        "price": one.shown_price,
        "spark": sparkline(one.candles),
        "1m": change_percent(summary.return_1m) if summary else None,
        "5m": change_percent(summary.return_5m) if summary else None,
        "1h": change_percent(summary.return_1h) if summary else None,
        "24h": change_percent(summary.return_24h) if summary else None,
        "volatility 1h": as_percent(summary.volatility_1h) if summary else None,
        "volatility 24h": as_percent(summary.volatility_24h) if summary else None,
        "forecast": as_percent(forecast.volatility) if forecast else None,
        "band": say_band(forecast.return_low, forecast.return_high) if forecast else NOTHING,
        "spread": summary.spread_bps if summary else None,
    }


def _lag(report: StatusPoint) -> str:
    """From the newest fact of the range to its commit, by the commit's own words."""
    if report.newest_fact_at is None:
        return NOTHING
    return say_age(max(report.committed_at - report.newest_fact_at, timedelta(0)))


def _minutes(gaps: Sequence[GapPoint], state: str) -> int:
    return sum(gap.minutes for gap in gaps if gap.state == state)
