"""The venues: which of them answer from here, and whether another asking would help."""

from __future__ import annotations

from collections.abc import Iterator

import httpx

from crypto_pipeline.doctor.finding import Finding, idle, tried
from crypto_pipeline.errors import MarketError, PermanentMarketError
from crypto_pipeline.settings import Settings
from crypto_pipeline.source.market import ping


def look(settings: Settings, *, transport: httpx.BaseTransport | None = None) -> Iterator[Finding]:
    if settings.market in ("simulated", "recorded"):
        yield idle("Market", f"MARKET is {settings.market}: no venue is asked.")
        return
    for name in settings.venues:
        found = tried(f"Market {name}", lambda at=name: _ping(settings, at, transport))  # type: ignore[misc]
        # Undecided, the market is live where a venue answers and simulated where none does.
        is_wrong = found.verdict == "wrong" and settings.market == "auto"
        yield idle(found.subject, found.said) if is_wrong else found


def _ping(settings: Settings, name: str, transport: httpx.BaseTransport | None) -> str:
    try:
        address = ping(settings, name, transport=transport)
    except PermanentMarketError as error:
        raise PermanentMarketError(
            f"{error} Leave {name} out of VENUES, or set MARKET=simulated."
        ) from error
    except MarketError as error:
        raise MarketError(
            f"{error} Check the network and HTTPS_PROXY, or set MARKET=simulated."
        ) from error
    return f"{address} answers."
