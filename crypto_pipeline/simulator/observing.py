"""The simulator seen from outside: its metrics, and whether its market goes on."""

from __future__ import annotations

from datetime import UTC, datetime

from crypto_pipeline.observed import simulator_metrics as metrics
from crypto_pipeline.observed.declared import SIMULATOR
from crypto_pipeline.observed.exposition import counted, gauges, page
from crypto_pipeline.observed.health import Health
from crypto_pipeline.simulator.clock import SimulatedClock
from crypto_pipeline.simulator.faults import FaultQueue
from crypto_pipeline.simulator.limits import RequestLog
from crypto_pipeline.simulator.market import DAY_MS, MINUTE_MS, Market

SILENT_MS = 10 * MINUTE_MS


def page_of(market: Market, clock: SimulatedClock, faults: FaultQueue, log: RequestLog) -> bytes:
    values = gauges(
        (metrics.FAULTS, (), faults.waiting),
        (metrics.SYMBOLS, (), len(market.listings())),
        (metrics.SPEED, (), clock.mapping.speed),
        (metrics.CLOCK, (), clock.now_ms() / 1000),
    )
    sums = counted(log.tally.book, (metrics.REQUESTS, metrics.EXCESS))
    return page(SIMULATOR, {**sums, **values})


def health_of(market: Market, clock: SimulatedClock) -> Health:
    now_ms, listings = clock.now_ms(), market.listings()
    # A halt is part of a recording; that nothing follows for a day is its end.
    goes_on = _has_bars(market, now_ms - SILENT_MS, now_ms) or _has_bars(
        market, now_ms, now_ms + DAY_MS
    )
    shown = f"{datetime.fromtimestamp(now_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    problem = (
        f"The recording ended at or before {shown}, so no minute comes any more. Set "
        "RECORDED_START to an earlier time, or RECORDED_DIR to a longer recording."
    )
    return Health(
        problems=() if goes_on else (problem,), facts={"now": now_ms, "symbols": len(listings)}
    )


def _has_bars(market: Market, first_ms: int, last_ms: int) -> bool:
    listed = market.listings()
    return any(market.bars(one.symbol, first_ms, last_ms, last_ms) for one in listed)
