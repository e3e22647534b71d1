"""The simulator seen from outside: its metrics, and whether its market still moves."""

from __future__ import annotations

from crypto_pipeline.observed import simulator_metrics as metrics
from crypto_pipeline.observed.declared import SIMULATOR
from crypto_pipeline.observed.exposition import counted, gauges, page
from crypto_pipeline.observed.health import Health
from crypto_pipeline.simulator.clock import SimulatedClock
from crypto_pipeline.simulator.faults import FaultQueue
from crypto_pipeline.simulator.limits import RequestLog
from crypto_pipeline.simulator.market import MINUTE_MS, Market

# A thin pair may trade in none of these minutes; that no pair does is the end of a recording.
SILENT_MINUTES = 10


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
    since_ms = now_ms - SILENT_MINUTES * MINUTE_MS
    moves = any(market.bars(one.symbol, since_ms, now_ms, now_ms) for one in listings)
    problem = (
        f"No instrument has had a minute since {SILENT_MINUTES} minutes of the market's own time: "
        "the recording is over or has a hole. Set RECORDED_START, or RECORDED_DIR to a longer one."
    )
    return Health(
        problems=() if moves else (problem,), facts={"now": now_ms, "symbols": len(listings)}
    )
