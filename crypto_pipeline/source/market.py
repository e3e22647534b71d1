"""From settings to a market: which one, its venue, its clock, and whether it knows our symbols."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import httpx

from crypto_pipeline.errors import MarketError, SettingsError, WrongContentError
from crypto_pipeline.settings import Settings
from crypto_pipeline.source import binance, coinbase, kraken
from crypto_pipeline.source.client import MarketClient
from crypto_pipeline.source.clock import Clock, SystemClock, VenueClock
from crypto_pipeline.source.venue import Venue
from crypto_pipeline.source.venues import refuse_auto, venue_for

__all__ = ["Resolution", "check_symbols", "market_clock", "resolve", "venue_for"]

PING_TIMEOUT = httpx.Timeout(5.0)
PINGS = {"binance": binance.PING, "kraken": kraken.TIME, "coinbase": coinbase.TIME}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Settings whose market is decided; `why` is a sentence for the user."""

    settings: Settings
    was_auto: bool
    why: str


def ping(settings: Settings, name: str, *, transport: httpx.BaseTransport | None = None) -> str:
    """Ask a venue once whether it is there; gives its address, or raises MarketError."""
    address = settings.url_of(name)
    client = MarketClient(address, transport=transport, attempts=1, timeout=PING_TIMEOUT)
    with client:
        client.get(PINGS[name])
    return address


def resolve(settings: Settings, *, transport: httpx.BaseTransport | None = None) -> Resolution:
    """For `auto`: live when a venue of VENUES answers within 5 s, else simulated."""
    if settings.market != "auto":
        why = f"MARKET is set to {settings.market}."
        return Resolution(settings=settings, was_auto=False, why=why)
    refusals = []
    for name in settings.venues:
        try:
            address = ping(settings, name, transport=transport)
        except MarketError as error:
            refusals.append(str(error))
        else:
            return Resolution(
                settings=replace(settings, market="live"),
                was_auto=True,
                why=f"The market is live: {address} answers.",
            )
    return Resolution(
        settings=replace(settings, market="simulated"),
        was_auto=True,
        why=f"The market is simulated, because no live one can be used: {' '.join(refusals)}",
    )


def market_clock(settings: Settings, *, transport: httpx.BaseTransport | None = None) -> Clock:
    """The machine's clock for a live market, the simulator's for another."""
    refuse_auto(settings)
    if settings.market == "live":
        return SystemClock()
    with MarketClient(settings.simulator_url, transport=transport) as client:
        text = client.get("/clock").text
    try:
        content = json.loads(text)
        return VenueClock(
            real_start_at=datetime.fromtimestamp(content["start_real"] / 1000, UTC),
            start_at=datetime.fromtimestamp(content["start_sim"] / 1000, UTC),
            speed=float(content["speed"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise WrongContentError(
            f"{settings.simulator_url}/clock gave {text[:80]!r}, no simulator's clock. Another "
            "program may use SIMULATOR_PORT: stop it or set another port."
        ) from error


def check_symbols(
    settings: Settings, *, venue: Venue | None = None, symbols: Sequence[str] | None = None
) -> None:
    """Raise SettingsError that names what the venue does not list, of SYMBOLS by default."""
    asked = venue or venue_for(settings)
    listed = asked.listed_symbols()
    wanted = settings.symbols if symbols is None else symbols
    unknown = [symbol for symbol in wanted if symbol not in listed]
    if unknown:
        asker = "SYMBOLS" if symbols is None else "The command"
        raise SettingsError(
            f"{asker} names {', '.join(unknown)}, which {asked.name} does not list. Remove them "
            f"or correct them; listed are for example {', '.join(sorted(listed)[:5])}."
        )
