"""From settings to venues: their addresses, limits, keys, and the files that processes share.

Limits are below what the venues publish (reference: their REST documentation of 2026), so that
a clock that is a little off or another program at this address does no harm. A market at speed
k is asked k times as often, so its simulated venues bear k times as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import httpx

from crypto_pipeline.contract.message import MARKET_KINDS, MarketKind
from crypto_pipeline.errors import SettingsError
from crypto_pipeline.observed.ledger import Tally
from crypto_pipeline.observed.poll_metrics import REQUEST_SECONDS
from crypto_pipeline.settings import COINGECKO, UNDECIDED, Secret, Settings
from crypto_pipeline.source import coingecko
from crypto_pipeline.source.binance import Binance
from crypto_pipeline.source.breaker import Breaker
from crypto_pipeline.source.budget import Allowance, Budget, Pace, Window
from crypto_pipeline.source.client import (
    DEFAULT_REMEDY,
    TIMEOUT,
    Judge,
    MarketClient,
    OnRequest,
)
from crypto_pipeline.source.clock import Clock
from crypto_pipeline.source.coinbase import Coinbase
from crypto_pipeline.source.coingecko import CoinGecko
from crypto_pipeline.source.failover import Feed
from crypto_pipeline.source.kraken import Kraken
from crypto_pipeline.source.kraken import judge as kraken_judge
from crypto_pipeline.source.listing import Listing
from crypto_pipeline.source.venue import Venue

# Candle requests a minute: with more symbols they take turns. Kraken bears one a second.
CANDLE_REQUESTS = {"binance": 200, "kraken": 25, "coinbase": 100}
# Those that answer for everything they trade in one request.
SERVE_ALL = frozenset({"binance", "kraken"})
JUDGES: dict[str, Judge] = {"kraken": kraken_judge, COINGECKO: coingecko.judge}
COINBASE_BURST = 5
KEY_REMEDY = "Check COINGECKO_API_KEY and that COINGECKO_PLAN is the key's own."


def venue_for(
    settings: Settings,
    name: str | None = None,
    *,
    transport: httpx.BaseTransport | None = None,
    timeout: httpx.Timeout = TIMEOUT,
    real: Clock | None = None,
    is_background: bool = False,
    tally: Tally | None = None,
) -> Venue:
    """A venue, the first of VENUES by default; keep it for the process: it holds connections.

    In the background it waits longer, and leaves half of the budget to the minute's polls.
    Its requests are counted in `tally`.
    """
    refuse_auto(settings)
    chosen = name or settings.venues[0]
    client = MarketClient(
        settings.url_of(chosen),
        clock=real,
        transport=transport,
        budget=budget_for(settings, chosen, real=real, is_background=is_background),
        judge=JUDGES.get(chosen),
        headers=_key_headers(settings) if chosen == COINGECKO else None,
        remedy=KEY_REMEDY if chosen == COINGECKO else DEFAULT_REMEDY,
        timeout=timeout,
        on_request=_counting(tally, chosen) if tally else None,
    )
    listing = Listing(_state(settings, f"{chosen}-listing"), clock=real)
    match chosen:
        case "kraken":
            return Kraken(client, listing=listing)
        case "coinbase":
            return Coinbase(client)
        case "coingecko":
            return CoinGecko(client)
        case _:
            return Binance(client, listing=listing)


def venues_for(settings: Settings, *, tally: Tally | None = None) -> tuple[Venue, ...]:
    """All of VENUES in order; for a whole venue only those that can answer for everything."""
    refuse_auto(settings)
    names = [n for n in settings.venues if n in SERVE_ALL or not settings.is_whole_venue]
    if not names:
        raise SettingsError(
            f"SYMBOLS=all with VENUES={','.join(settings.venues)}: none of them answers for all "
            f"its pairs at once. Name one of {', '.join(sorted(SERVE_ALL))}, or list symbols."
        )
    return tuple(venue_for(settings, name, tally=tally) for name in names)


def reference_for(settings: Settings, *, tally: Tally | None = None) -> Venue | None:
    """CoinGecko, where reference prices are wanted and there are symbols to ask for."""
    if settings.coingecko_minutes == 0 or settings.is_whole_venue:
        return None
    return venue_for(settings, COINGECKO, tally=tally)


def feeds_for(settings: Settings, venues: Sequence[Venue]) -> tuple[Feed, ...]:
    return tuple(
        Feed(
            venue=venue,
            source=settings.source_of(venue.name),
            breaker=breaker_for(settings, venue.name),
            candle_requests=CANDLE_REQUESTS.get(venue.name),
        )
        for venue in venues
    )


def budget_for(
    settings: Settings, name: str, *, real: Clock | None = None, is_background: bool = False
) -> Budget:
    """One budget a venue and state folder, whoever asks: polls, history, repair."""
    file = _state(settings, name)
    return Budget(
        name, _allowances(settings, name), file=file, clock=real, is_background=is_background
    )


def market_kind(settings: Settings) -> MarketKind:
    """The market of a poll's facts; raises SettingsError while it is not decided."""
    refuse_auto(settings)
    return next(kind for kind in MARKET_KINDS if kind == settings.market)


def breaker_for(settings: Settings, name: str) -> Breaker:
    return Breaker(name, _state(settings, f"{name}-breaker"))


def refuse_auto(settings: Settings) -> None:
    if settings.market == "auto":
        raise SettingsError(UNDECIDED)


def _allowances(settings: Settings, name: str) -> tuple[Allowance, ...]:
    k = 1.0 if settings.market == "live" else max(1.0, settings.simulator_speed)
    match name:
        case "kraken":
            return (Pace(per_second=settings.kraken_requests_per_second * k),)
        case "coinbase":
            pace = settings.coinbase_requests_per_second * k
            return (Pace(per_second=pace, burst=COINBASE_BURST),)
        case "coingecko":
            return (
                Window(limit=int(settings.coingecko_calls_per_minute * k), seconds=60),
                Window(limit=int(settings.coingecko_calls_per_day * k), seconds=86_400),
            )
        case _:
            return (Window(limit=int(settings.binance_weight_per_minute * k), seconds=60),)


def _counting(tally: Tally, venue: str) -> OnRequest:
    def count(status: str, seconds: float) -> None:
        tally.observe(REQUEST_SECONDS, venue, status, seconds=seconds)

    return count


def _key_headers(settings: Settings) -> dict[str, Secret]:
    key = settings.coingecko_api_key
    return {} if key is None else {coingecko.KEY_HEADERS[settings.coingecko_plan]: key}


def _state(settings: Settings, name: str) -> Path:
    return settings.home / "budget" / f"{name}.json"
