"""Minutes for the killed lake: every minute has a row for every table of every stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import PollRecord
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.builders import AT, BTC, ETH, MINUTE, candle, poll, tick
from crypto_pipeline_tests.topics import send

SYMBOLS = (BTC, ETH)
# Asked for and never served, so that the ledger of gaps has a row of each minute.
MISSED = "SOL-USDT"
GARBAGE = b"\xff not json"


@dataclass
class Feed:
    """Sends minute after minute; `facts` are the ids that silver must have, each once."""

    settings: Settings
    minutes: int = 0
    facts: set[str] = field(default_factory=set)

    def send_minute(self) -> None:
        facts = minute_of_facts(self.minutes)
        send(self.settings, *facts)
        self.facts |= {fact.id for fact in facts if isinstance(fact, Tick | Candle)}
        self.minutes += 1


def minute_of_facts(number: int) -> list[Tick | Candle | PollRecord | bytes]:
    """Ticks, the closed candles, a repeated tick, a record that does not parse, and the poll."""
    at = AT + number * MINUTE
    price = Decimal(100 + number % 7)
    ticks = [tick(symbol=s, poll_at=at, price=price, bid=price, ask=price) for s in SYMBOLS]
    candles = [
        candle(
            symbol=s,
            open_at=at - MINUTE,
            open=price,
            high=price + 2,
            low=price - 1,
            close=price + 1,
            event_at=None,
        )
        for s in SYMBOLS
    ]
    asked = (*SYMBOLS, MISSED)
    record = poll(
        poll_at=at,
        started_at=at + timedelta(seconds=5),
        ended_at=at + timedelta(seconds=6),
        symbols_asked=asked,
        candles_due=asked,
        candles_missed=(MISSED,),
        outcome="partial",
        reason="no answer for one symbol",
    )
    return [*ticks, *candles, ticks[0], GARBAGE, record]
