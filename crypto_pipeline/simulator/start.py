"""From settings to a running simulator: which market, which clock, which app."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.applications import Starlette

from crypto_pipeline.errors import SettingsError
from crypto_pipeline.setting_values import DEFAULT_SYMBOLS
from crypto_pipeline.settings import Settings, parse_symbols
from crypto_pipeline.simulator.clock import SimulatedClock, resume_clock
from crypto_pipeline.simulator.crowd import CrowdMarket
from crypto_pipeline.simulator.market import DAY_MS, Market
from crypto_pipeline.simulator.model import ModelMarket
from crypto_pipeline.simulator.recording import RecordedMarket
from crypto_pipeline.simulator.server import create_app


def build_app(settings: Settings) -> Starlette:
    """Make the app; the clock file under the market's home is read or written here."""
    market = build_market(settings)
    return create_app(market, build_clock(settings, market))


def build_market(settings: Settings) -> Market:
    """The model knows the default watch-list and the given one; a recording what it holds.

    For a whole venue the model's coins are the core of thousands of pairs.
    """
    if settings.market == "simulated":
        symbols = dict.fromkeys((*parse_symbols(DEFAULT_SYMBOLS), *settings.symbols))
        model = ModelMarket(settings.simulator_seed, tuple(symbols))
        return CrowdMarket(model) if settings.is_whole_venue else model
    if settings.market == "recorded":
        if settings.recorded_dir is None:
            raise SettingsError(
                "MARKET=recorded needs RECORDED_DIR: a folder of candle files named "
                "BASE_QUOTE-1m.csv.gz."
            )
        return RecordedMarket(settings.recorded_dir)
    raise SettingsError(
        f"MARKET is {settings.market}, so there is nothing to simulate. Set MARKET to simulated, "
        "or to recorded with RECORDED_DIR."
    )


def build_clock(settings: Settings, market: Market) -> SimulatedClock:
    identity = {
        "market": settings.market,
        "seed": str(settings.simulator_seed),
        "folder": str(settings.recorded_dir or ""),
        "start": settings.recorded_start or "",
    }
    return resume_clock(
        settings.home / "simulator" / "clock.json",
        identity,
        speed=settings.simulator_speed,
        start_sim=_recorded_start(settings, market) if settings.market == "recorded" else None,
    )


def _recorded_start(settings: Settings, market: Market) -> int:
    """RECORDED_START, UTC where it names no zone; else a day of history after the first candle."""
    if settings.recorded_start is None:
        oldest = min(market.oldest_ms(listing.symbol) for listing in market.listings())
        return oldest + DAY_MS
    try:
        start = datetime.fromisoformat(settings.recorded_start)
    except ValueError as error:
        raise SettingsError(
            f"RECORDED_START is {settings.recorded_start!r}. Give an ISO-8601 time, for example "
            "2023-03-24T11:00:00Z."
        ) from error
    aware = start if start.tzinfo is not None else start.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)
