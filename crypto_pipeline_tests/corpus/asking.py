"""Polling a venue whose every answer is made up by the test."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx

from crypto_pipeline.source.binance import Binance
from crypto_pipeline.source.client import MarketClient
from crypto_pipeline.source.coinbase import Coinbase
from crypto_pipeline.source.coingecko import CoinGecko
from crypto_pipeline.source.kraken import Kraken
from crypto_pipeline.source.poll import PollResult, poll_minute
from crypto_pipeline.source.venue import Origin, Venue
from crypto_pipeline.source.venues import JUDGES
from crypto_pipeline_tests.source.builders import NOW, POLL_AT, FakeClock

VENUES: dict[str, Callable[[MarketClient], Venue]] = {
    "binance": Binance,
    "kraken": Kraken,
    "coinbase": Coinbase,
    "coingecko": CoinGecko,
}
Answering = Callable[[httpx.Request], httpx.Response]


def origin(venue: str) -> Origin:
    return Origin(
        market="recorded",
        source=f"recorded:{venue}",
        venue=venue,
        poll_at=POLL_AT,
        observed_at=NOW,
        endpoint="/as/recorded",
    )


def venue(name: str, answering: Answering, clock: FakeClock | None = None) -> Venue:
    client = MarketClient(
        "http://venue",
        clock=clock or FakeClock(),
        transport=httpx.MockTransport(answering),
        judge=JUDGES.get(name),
    )
    return VENUES[name](client)


def silent(name: str) -> Venue:
    """A venue to parse with; it is never asked."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"{request.url} was asked")

    return venue(name, refuse)


def poll(name: str, answering: Answering, symbols: Sequence[str] | None) -> PollResult:
    """One whole minute: snapshot, the venue's time, one candle request."""
    clock = FakeClock()
    return poll_minute(
        venue(name, answering, clock),
        market="recorded",
        source=f"recorded:{name}",
        symbols=symbols,
        poll_at=POLL_AT,
        clock=clock,
        marks={},
        candle_requests=1,
    )
