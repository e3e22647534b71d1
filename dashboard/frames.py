"""From a view of the feed to the instruments of the screen. Pure: `now` is given.

Ages are `now` minus the broker's time of the newest tick, in every market: a recorded
minute is as fresh as its arrival, whatever year it tells of.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from crypto_pipeline.settings import COINGECKO
from dashboard.buffers import Kept
from dashboard.points import CandlePoint, ForecastPoint, GapPoint, Key, SummaryPoint, TickPoint
from dashboard.words import NOTHING, Freshness, count_digits, judge_age, say_price

FORECAST_MINUTES = 60


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
    models: tuple[ForecastPoint, ...] = ()
    served: tuple[ForecastPoint, ...] = ()

    @property
    def gaps(self) -> tuple[GapPoint, ...]:
        return () if self.summary is None else self.summary.gaps

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
    if tick := newest_tick(kept):
        return tick.source
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
    """Of a venue: reference prices ride along in some minutes and are never the market shown."""
    ticks = (tick for tick in kept.latest.values() if tick.venue != COINGECKO)
    return max(ticks, key=lambda tick: tick.broker_at, default=None)


def instruments(kept: Kept, now: datetime) -> list[Instrument]:
    """One per symbol of the shown source, the most volatile first."""
    source = shown_source(kept)
    keys = {key for key in (*kept.latest, *kept.summaries, *kept.candles) if key[0] == source}
    served, models = served_forecasts(kept), newest_forecasts(kept)
    found = [_instrument(kept, key, now, forecasts=served[key], models=models[key]) for key in keys]
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


def newest_forecasts(kept: Kept) -> dict[Key, list[ForecastPoint]]:
    """Every model's newest word about each instrument, the served and the others."""
    found: dict[Key, list[ForecastPoint]] = defaultdict(list)
    for forecast in kept.forecasts:
        found[(forecast.source, forecast.symbol)].append(forecast)
    return found


def _instrument(
    kept: Kept,
    key: Key,
    now: datetime,
    *,
    forecasts: list[ForecastPoint],
    models: list[ForecastPoint],
) -> Instrument:
    tick, summary = kept.latest.get(key), kept.summaries.get(key)
    digits = 0 if tick is None else tick.digits
    return Instrument(
        symbol=key[1],
        digits=max(digits, 0 if summary is None else count_digits([summary.last])),
        freshness=judge_age(None if tick is None else tick.broker_at, now),
        tick=tick,
        summary=summary,
        candles=kept.candles.get(key, ()),
        forecasts=tuple(forecasts),
        models=tuple(sorted(models, key=lambda one: (one.horizon_minutes, one.model))),
        served=kept.served.get(key, ()),
    )
