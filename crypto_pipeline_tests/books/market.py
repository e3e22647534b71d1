"""A small market through a real broker and every stage, with something for every outcome."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import PollRecord
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.stage import Stage
from crypto_pipeline.stages import STAGES
from crypto_pipeline_tests.builders import (
    AT,
    BTC,
    ETH,
    MINUTE,
    Row,
    candle,
    day_of,
    poll,
    raw_rows,
    tick,
)
from crypto_pipeline_tests.topics import send

Facts = list[Tick | Candle | PollRecord | bytes]

SOL = "SOL-USDT"
KRAKEN = "simulator:kraken:7"
OWN_RECORD = '[1795341840000,"67010.00"]'


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


def arrived(facts: Facts, at: datetime, seen: Counter[str]) -> list[Row]:
    """Rows of raw with the offsets that come next on each topic."""
    rows = raw_rows(*(fact for fact in facts if not isinstance(fact, bytes)))
    for place, row in enumerate(rows):
        broker_at = at + timedelta(seconds=7, milliseconds=place)
        row |= {"offset": seen[row["topic"]], "broker_at": broker_at, "date": day_of(broker_at)}
        seen[row["topic"]] += 1
    return rows


def awkward(number: int) -> Facts:
    """A repeat, a conflict, a correction, a late one, one too late, three that are refused."""
    at = AT + number * MINUTE
    return [
        tick(poll_at=at, bid=None, ask=None, price=Decimal(67000 + 7 * number) + Decimal("0.5")),
        tick(poll_at=at, bid=None, ask=None, price=Decimal(1)),
        candle(open_at=at - MINUTE, close=Decimal(67001), observed_at=at + timedelta(hours=1)),
        candle(open_at=at - timedelta(minutes=30)),
        tick(poll_at=at - timedelta(days=2)),
        tick(symbol="pepe-USDT"),
        b"not a record",
        b'{"kind":"tick","id":"x"}',
    ]


def twice_told() -> Facts:
    """A coin of two venues: a minute's candle of both, and a minute that one has sampled."""
    return [
        candle(symbol=SOL, open_at=AT + MINUTE, record=OWN_RECORD),
        candle(symbol=SOL, open_at=AT + MINUTE, source=KRAKEN, close=Decimal("66999")),
        tick(symbol=SOL, poll_at=AT + 3 * MINUTE, source=KRAKEN),
    ]


def cycle(runner: StageRunner, stages: Sequence[Stage] = STAGES) -> None:
    """Every stage once, as a cycle does; or some, in its order."""
    for stage in stages:
        runner.run(stage)


def filled(runner: StageRunner, servers: Settings) -> None:
    """Two cycles: two minutes, then the next ones with what is awkward and what two venues say."""
    for batch in (
        [*minute(0), *minute(1)],
        [
            *minute(2),
            *awkward(1),
            *(fact for n in range(3, 8) for fact in minute(n)),
            *twice_told(),
        ],
    ):
        send(servers, *batch)
        cycle(runner)


def copied(runner: StageRunner, folder: Path) -> StageRunner:
    """The same on a copy of its lake, to be spoilt."""
    shutil.copytree(runner.lake.root, folder)
    return replace(runner, lake=replace(runner.lake, root=str(folder)))
