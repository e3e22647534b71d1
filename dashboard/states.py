"""What the page says before any number: is it real, is it there, is it fresh. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from dashboard.buffers import View
from dashboard.frames import Instrument, newest_tick, shown_market, shown_source
from dashboard.words import (
    IN_UTC,
    NOTHING,
    Clock,
    judge_age,
    safe_markdown,
    safe_markdown_long,
    say_age,
    say_band,
    say_bytes,
    say_change,
    say_percent,
)

Level = Literal["error", "warning", "info", "success"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One banner; `text` is Markdown in which everything from outside is escaped."""

    level: Level
    icon: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of the headline, with the line under it and what it means."""

    label: str
    value: str
    note: str
    meaning: str


def market_notice(view: View, clock: Clock = IN_UTC) -> Notice | None:
    """Which market this is: anything but a live venue is said loudly."""
    market, source = shown_market(view.kept), shown_source(view.kept)
    if market is None or source is None:
        return None
    name, tick = safe_markdown(source), newest_tick(view.kept)
    observed = "" if tick is None else f" · observed {clock.stamp(tick.observed_at)}"
    if market == "live":
        venue = name if tick is None else safe_markdown(tick.venue)
        return Notice(
            level="success",
            icon=":material/sensors:",
            text=f"**LIVE MARKET** · venue {venue}{observed}",
        )
    if market == "recorded":
        return Notice(
            level="warning",
            icon=":material/history:",
            text=f"**RECORDED DATA, replayed** · past prices from {name}{observed}",
        )
    return Notice(
        level="warning",
        icon=":material/science:",
        text=f"**SIMULATED DATA** · invented prices, no exchange · source {name}{observed}",
    )


def trouble_notice(view: View, now: datetime, clock: Clock = IN_UTC) -> Notice | None:
    """The one thing that is wrong now, worst first; None when all is well."""
    tail, since = view.tail, say_age(max(now - view.tail.since, timedelta(0)))
    tick = newest_tick(view.kept)
    if tail.state == "stopped":
        return _error("**The reader has stopped.** Reload the page; the log says why.")
    if tail.state == "away":
        last = "There are no values yet." if tick is None else "Values below are the last known."
        return _error(
            f"**Broker away** since {clock.time(tail.since)} ({since}). {last} The page recovers "
            f"by itself.  \n{safe_markdown_long(tail.reason or '')}"
        )
    if tick is None:
        return None
    judged = judge_age(tick.broker_at, now)
    if judged.word != "fresh" and judged.age is not None:
        return Notice(
            level="warning",
            icon=":material/schedule:",
            text=f"**{judged.word.capitalize()}: no new poll for {say_age(judged.age)}.** The "
            "broker answers, the market poll does not arrive. Look at its last run in Dagster.",
        )
    return None


def awaited(view: View) -> list[tuple[str, bool]]:
    """What a first start goes through, in order, and whether each has arrived."""
    kept = view.kept
    return [
        (f"Broker at {safe_markdown(view.broker)} answers", view.tail.state == "live"),
        ("24 hours of candles (topic market.candles)", bool(kept.candles)),
        ("First poll of the market (market.ticks, once a minute)", newest_tick(kept) is not None),
        ("Volatility from the lake (market.summary)", bool(kept.summaries)),
        ("First forecast (market.forecasts)", bool(kept.forecasts)),
    ]


def headline(view: View, known: Sequence[Instrument], now: datetime) -> list[Figure]:
    """Four figures: what moves most, how much it will, and is it all fresh (two)."""
    tick = newest_tick(view.kept)
    poll = judge_age(None if tick is None else tick.broker_at, now)
    fresh = sum(one.freshness.word == "fresh" for one in known)
    return [
        *_most_volatile(known),
        Figure(
            label="Newest poll",
            value=NOTHING if poll.age is None else say_age(poll.age),
            note=f"{poll.shape} {poll.word}: {fresh} of {len(known)} symbols fresh",
            meaning="Since the broker stored the newest tick. Fresh below 90 s, dead from 5 min.",
        ),
        _lake_lag(view, now),
    ]


def _lake_lag(view: View, now: datetime) -> Figure:
    commits = [(report.committed_at, report.stage) for report in view.kept.status.values()]
    oldest, stage = min(commits, default=(None, ""))
    judged = judge_age(oldest, now)
    return Figure(
        label="Lake lag",
        value=NOTHING if judged.age is None else say_age(judged.age),
        note=f"{judged.shape} slowest: {safe_markdown(stage)}" if stage else "no report yet",
        meaning="Since the last commit of the stage that committed longest ago. With one poll a "
        "minute, up to 90 s is normal.",
    )


def _most_volatile(known: Sequence[Instrument]) -> list[Figure]:
    """Rank 1 and its forecast; the rank is gold's."""
    top = next((one for one in known if one.summary and one.summary.volatility_rank), None)
    forecast = None if top is None else top.forecast(60)
    volatility = None if top is None or top.summary is None else top.summary.volatility_1h
    return [
        Figure(
            label="Most volatile now",
            value=NOTHING if top is None else safe_markdown(top.symbol),
            note="no summary yet" if volatility is None else f"{volatility:.0%} a year (last 1 h)",
            meaning="Highest realised volatility over one hour, annualised over 525,600 minutes.",
        ),
        Figure(
            label="Its next 60 minutes",
            value=NOTHING if forecast is None else f"{say_percent(forecast.volatility)} a year",
            note="no forecast yet"
            if forecast is None
            else say_band(forecast.return_low, forecast.return_high),
            meaning="Served forecast: volatility, and the band that holds 90 % of the returns over "
            "the next hour.",
        ),
    ]


def _error(text: str) -> Notice:
    return Notice(level="error", icon=":material/cloud_off:", text=text)


def wrong_symbol(asked: str, shown: str) -> Notice:
    return Notice(
        level="info",
        icon=":material/help:",
        text=f"The address asks for {safe_markdown(asked)}, which is not in this market so far. "
        f"Showing {safe_markdown(shown)}.",
    )


def find_symbol(asked: str | None, known: Sequence[Instrument]) -> str | None:
    """The symbol that the address names, in any case, once it is known."""
    wanted = (asked or "").strip().upper()
    return next((one.symbol for one in known if one.symbol.upper() == wanted), None)


def say_forecast(one: Instrument, clock: Clock = IN_UTC) -> str:
    """The served forecast of the next hour in a line of Markdown."""
    forecast = one.forecast(60)
    if forecast is None:
        return "no forecast yet"
    band = safe_markdown(say_band(forecast.return_low, forecast.return_high))
    return (
        f"forecast 60 min from {clock.minute(forecast.origin_at)} by "
        f"{safe_markdown(forecast.model)}: {band}"
    )


def symbol_figures(one: Instrument) -> list[Figure]:
    """Gold's measures of the newest minute."""
    summary, forecast = one.summary, one.forecast(60)
    if summary is None:
        return []
    z = summary.z_score
    return [
        Figure(
            label="Change 1 h",
            value=say_change(summary.return_1h),
            note=f"24 h: {say_change(summary.return_24h)}",
            meaning="From the close an hour before to the newest close.",
        ),
        Figure(
            label="Realised volatility 1 h",
            value=say_percent(summary.volatility_1h),
            note=f"24 h: {say_percent(summary.volatility_24h)}",
            meaning="Annualised over 525,600 minutes.",
        ),
        Figure(
            label="Forecast, next hour",
            value=NOTHING if forecast is None else say_percent(forecast.volatility),
            note="no forecast yet"
            if forecast is None
            else say_band(forecast.return_low, forecast.return_high),
            meaning="Volatility a year, and the band that holds 90 % of the returns.",
        ),
        Figure(
            label="Last move, z-score",
            value=NOTHING if z is None else f"{z:+.1f}",
            note="no measure" if z is None else "unusual" if abs(z) >= 3 else "usual",
            meaning="The last 1-minute return over the standard deviation of the hour's. Beyond "
            "3 either way is unusual.",
        ),
    ]


def say_measures(one: Instrument) -> str:
    """Spread, band width and true range of the newest minute in a line."""
    summary = one.summary
    if summary is None:
        return "no measures yet"
    spread = NOTHING if summary.spread_bps is None else f"{summary.spread_bps:.1f} bps"
    atr = NOTHING if summary.atr_14 is None else f"{summary.atr_14:,.{one.digits}f}"
    return (
        f"Spread {spread} · Bollinger width {say_percent(summary.bollinger_width, 2)} · mean true "
        f"range of 14 min {atr} · newest candle: {safe_markdown(summary.origin or 'unknown')}"
    )


def pipeline_figures(view: View, known: Sequence[Instrument], now: datetime) -> list[Figure]:
    """Poll, lake, gaps, spool and lease at a glance."""
    spool = view.kept.spool
    tick = newest_tick(view.kept)
    poll = judge_age(None if tick is None else tick.broker_at, now)
    is_open = sum(gap.minutes for one in known for gap in one.gaps if gap.state == "open")
    given_up = sum(gap.minutes for one in known for gap in one.gaps if gap.state == "given_up")
    return [
        Figure(
            label="Newest poll",
            value=NOTHING if poll.age is None else say_age(poll.age),
            note=f"{poll.shape} {poll.word}",
            meaning="Since the broker stored the newest tick.",
        ),
        _lake_lag(view, now),
        Figure(
            label="Gap minutes, 24 h",
            value=f"{is_open:,} open",
            note=f"{given_up:,} given up",
            meaning="Minutes of a symbol without a candle, by the lake's ledger; those that the "
            "venue says it has not are given up.",
        ),
        Figure(
            label="Spool",
            value=NOTHING if spool is None else f"{spool.polls:,} polls",
            note="not told yet"
            if spool is None
            else f"{say_bytes(spool.bytes)}, told "
            f"{say_age(max(now - spool.reported_at, timedelta(0)))} ago",
            meaning="Polls that wait on the ingestion's disk for the broker"
            + ("." if spool is None else f"; there is room for {say_bytes(spool.limit_bytes)}."),
        ),
    ]


def say_books(view: View) -> str:
    """What this process has read and let go."""
    shed = sum(view.kept.shed.values())
    return (
        f"{view.tail.records:,} records read, {view.tail.malformed:,} malformed, {shed:,} shed; "
        f"buffers hold {say_bytes(view.kept.bytes)}."
    )
