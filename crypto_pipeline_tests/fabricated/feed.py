"""The next minutes of a fabricated market, sent for real; what `maintenance.day` sends from."""

from __future__ import annotations

from dataclasses import dataclass

from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.crash.feed import Feed
from crypto_pipeline_tests.fabricated.market import Market
from crypto_pipeline_tests.topics import send


@dataclass
class MarketFeed(Feed):
    """`minutes` of the market were sent or laid down."""

    market: Market | None = None

    def send_minute(self) -> None:
        assert self.market is not None
        self.minutes += 1
        send(self.settings, *self.market.facts(self.minutes))


def feed_of(settings: Settings, market: Market, *, minutes: int = 0) -> MarketFeed:
    return MarketFeed(settings=settings, minutes=minutes, market=market)
