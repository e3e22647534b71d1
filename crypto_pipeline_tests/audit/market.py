"""A small market through a real broker and every stage, with something for every outcome."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import PollRecord
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import STAGES
from crypto_pipeline_tests.builders import AT, BTC, ETH, MINUTE, candle, poll, tick
from crypto_pipeline_tests.topics import send

Facts = list[Tick | Candle | PollRecord | bytes]


def minute(number: int, *, symbols: tuple[str, ...] = (BTC, ETH)) -> Facts:
    """What one poll brings: a tick and a candle a symbol, and the record of the poll."""
    at = AT + number * MINUTE
    facts: Facts = []
    for place, symbol in enumerate(symbols):
        close = Decimal(67000 + 7 * number + place)
        facts += [
            tick(symbol=symbol, poll_at=at, price=close + Decimal("0.5"), bid=None, ask=None),
            candle(
                symbol=symbol, open_at=at - MINUTE, close=close, high=close + 3, low=close - 500
            ),
        ]
    ended = at + timedelta(seconds=6)
    return [*facts, poll(poll_at=at, started_at=at, ended_at=ended, symbols_asked=symbols)]


def awkward(number: int) -> Facts:
    """A repeat, a conflict, a correction, a late one, one too late, and two that do not parse."""
    at = AT + number * MINUTE
    return [
        tick(poll_at=at, bid=None, ask=None, price=Decimal(67000 + 7 * number) + Decimal("0.5")),
        tick(poll_at=at, bid=None, ask=None, price=Decimal(1)),
        candle(open_at=at - MINUTE, close=Decimal(67001), observed_at=at + timedelta(hours=1)),
        candle(open_at=at - timedelta(minutes=30)),
        tick(poll_at=at - timedelta(days=2)),
        b"not a record",
        b'{"kind":"tick","id":"x"}',
    ]


def cycle(runner: StageRunner) -> None:
    """Every stage once, as a cycle does."""
    for stage in STAGES:
        runner.run(stage)


def filled(runner: StageRunner, servers: Settings) -> None:
    """Two cycles: two minutes, then the next with what is awkward."""
    for batch in ([*minute(0), *minute(1)], [*minute(2), *awkward(1)]):
        send(servers, *batch)
        cycle(runner)
