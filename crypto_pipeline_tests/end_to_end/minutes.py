"""Minutes of a market of any size, as one poll brings them."""

from __future__ import annotations

from decimal import Decimal

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import PollRecord
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline_tests.builders import AT, MINUTE, candle, poll, tick


def minute(number: int, symbols: int) -> list[Tick | Candle | PollRecord]:
    """Ticks, the closed candles of at most 20, and the record of the poll."""
    at, price = AT + number * MINUTE, Decimal(100 + number % 13)
    named = [f"C{n}-USDT" for n in range(symbols)]
    ticks = [tick(symbol=s, poll_at=at, price=price) for s in named]
    # Of a whole venue only a turn of the candles rides along.
    bars = [candle(symbol=s, open_at=at - MINUTE) for s in named[:20]]
    asked = tuple(named[:20])
    record = poll(
        poll_at=at, started_at=at, ended_at=at, symbols_asked=asked, candles_due=asked,
        candles=len(bars), served=symbols, published=symbols,
    )  # fmt: skip
    return [*ticks, *bars, record]
