"""From a view of the feed to the rows and figures of the screen. Pure: `now` is given.

Ages are `now` minus the broker's time of the newest tick, in every market: a recorded
minute is as fresh as its arrival, whatever year it tells of.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from dashboard.buffers import Kept
from dashboard.points import CandlePoint, ForecastPoint, Key, SummaryPoint, TickPoint
from dashboard.words import (
    NOTHING,
    Freshness,
    as_percent,
    change_percent,
    count_digits,
    judge_age,
    plain_text,
    say_age,
    say_band,
    say_price,
)

FORECAST_MINUTES = 60
SPARK_MINUTES = 360
SPARK_POINTS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """All that is known of one symbol of the shown source; parts that never came are None."""

    symbol: str
    digits: int
    freshness: Freshness
    tick: TickPoint | None
    summary: SummaryPoint | None
    candles: tuple[CandlePoint, ...]
    forecasts: tuple[ForecastPoint, ...]

    @property
    def rank(self) -> int:
        rank = None if self.summary is None else self.summary.volatility_rank
        return 1_000_000 if rank is None else rank

    @property
    def price(self) -> str | None:
        """The newest poll's price; before the first poll, the summary's."""
        if self.tick is not None:
            return self.tick.price
        return None if self.summary is None else self.summary.last

    @property
    def shown_price(self) -> str:
        return NOTHING if self.price is None else say_price(self.price, self.digits)

    def forecast(self, minutes: int) -> ForecastPoint | None:
        return next((f for f in self.forecasts if f.horizon_minutes == minutes), None)


def shown_source(kept: Kept) -> str | None:
    """The source of the tick stored last; two sources are never mixed on one screen."""
    if kept.latest:
        return max(kept.latest.values(), key=lambda tick: tick.broker_at).source
    if kept.summaries:
        return max(kept.summaries.values(), key=lambda summary: summary.minute_at).source
    return next(iter(kept.candles), (None,))[0]


def shown_market(kept: Kept) -> str | None:
    """live, simulated or recorded: told by the tick, before the first one by the source's name."""
    tick, source = newest_tick(kept), shown_source(kept)
    if tick is not None:
        return tick.market
    if source is None:
        return None
    prefix = source.partition(":")[0] if ":" in source else ""
    return {"simulator": "simulated", "recorded": "recorded"}.get(prefix, "live")


def newest_tick(kept: Kept) -> TickPoint | None:
    return max(kept.latest.values(), key=lambda tick: tick.broker_at, default=None)


def instruments(kept: Kept, now: datetime) -> list[Instrument]:
    """One per symbol of the shown source, the most volatile first."""
    source = shown_source(kept)
    keys = {key for key in (*kept.latest, *kept.summaries, *kept.candles) if key[0] == source}
    prices: dict[Key, list[str]] = defaultdict(list)
    for tick in kept.ticks:
        prices[(tick.source, tick.symbol)].append(tick.price)
    forecasts = served_forecasts(kept)
    found = [
        _instrument(kept, key, now, prices=prices[key], forecasts=forecasts[key]) for key in keys
    ]
    return sorted(found, key=lambda one: (one.rank, one.symbol))


def served_forecasts(kept: Kept) -> dict[Key, list[ForecastPoint]]:
    """The newest served forecast of each horizon: an earlier champion's last word stays behind."""
    newest: dict[tuple[Key, int], ForecastPoint] = {}
    for forecast in kept.forecasts:
        name = ((forecast.source, forecast.symbol), forecast.horizon_minutes)
        known = newest.get(name)
        if forecast.is_served and (known is None or known.origin_at < forecast.origin_at):
            newest[name] = forecast
    found: dict[Key, list[ForecastPoint]] = defaultdict(list)
    for (key, _), forecast in sorted(newest.items()):
        found[key].append(forecast)
    return found


def market_table(known: list[Instrument]) -> pd.DataFrame:
    """The watch-list; column names are what the page configures."""
    return pd.DataFrame([_table_row(one) for one in known])


def pipeline_table(kept: Kept, now: datetime) -> pd.DataFrame:
    """One row a stage, in the order in which they committed last."""
    reports = sorted(kept.status.values(), key=lambda report: report.committed_at)
    return pd.DataFrame(
        [
            {
                "stage": plain_text(report.stage),
                "state": judge_age(report.committed_at, now).badge,
                "batch": report.batch,
                "rows in": report.rows_in,
                "rows out": report.rows_out,
                "rejected": report.rejected,
                "seconds": report.seconds,
                "newest fact": _moment(report.newest_fact_at),
            }
            for report in reports
        ]
    )


def poll_table(kept: Kept, now: datetime) -> pd.DataFrame:
    polls = sorted(kept.polls, key=lambda poll: poll.broker_at, reverse=True)
    return pd.DataFrame(
        [
            {
                "source": plain_text(poll.source),
                "purpose": plain_text(poll.purpose),
                "age": say_age(max(now - poll.broker_at, now - now)),
                "outcome": plain_text(poll.outcome),
                "asked": poll.asked,
                "published": poll.published,
                "unchanged": poll.unchanged,
                "rejected": poll.rejected,
                "reason": plain_text(poll.reason or ""),
            }
            for poll in polls
        ]
    )


def _instrument(
    kept: Kept, key: Key, now: datetime, *, prices: list[str], forecasts: list[ForecastPoint]
) -> Instrument:
    tick, summary = kept.latest.get(key), kept.summaries.get(key)
    known = [*prices, *([] if summary is None else [summary.last])]
    return Instrument(
        symbol=key[1],
        digits=count_digits(known),
        freshness=judge_age(None if tick is None else tick.broker_at, now),
        tick=tick,
        summary=summary,
        candles=kept.candles.get(key, ()),
        forecasts=tuple(forecasts),
    )


def _table_row(one: Instrument) -> dict[str, object]:
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


def sparkline(candles: tuple[CandlePoint, ...]) -> list[float]:
    """Every sixth close of six hours, the newest always among them."""
    closes = [candle.close for candle in candles[-SPARK_MINUTES:]]
    return closes[:: -(SPARK_MINUTES // SPARK_POINTS)][::-1]


def _moment(moment: datetime | None) -> str:
    return NOTHING if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"
