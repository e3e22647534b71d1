"""Cycles over markets of several sizes: their seconds, and the bytes that they write."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crypto_pipeline.pipeline import open_pipeline
from crypto_pipeline.resources.market import ingest
from crypto_pipeline.setting_values import DEFAULT_SYMBOLS, WHOLE_VENUE, parse_symbols
from crypto_pipeline.settings import Settings
from crypto_pipeline.simulator.crowd import PAIRS as VENUE
from crypto_pipeline.status import folder_bytes
from crypto_pipeline_tests.benchmarks.cycle import bare_appends, one_cycle, stack

# A whole venue has none to fetch, so that the others get none either.
HISTORY_HOURS = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """One cycle as (bare appends, the cycle): seconds, and bytes under the tables' folders."""

    seconds: tuple[float, float]
    bytes: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Cycles by the number of symbols, and by the minutes that each one takes."""

    symbols: Mapping[int, Sequence[Cycle]]
    minutes: Mapping[int, Sequence[Cycle]]


def watch_list(symbols: int) -> str:
    """The default list, filled up with coins that the simulator makes of their names, or `all`."""
    if symbols >= VENUE:
        return WHOLE_VENUE
    made = (f"C{number:03}-USDT" for number in range(symbols))
    return ",".join((*parse_symbols(DEFAULT_SYMBOLS), *made)[:symbols])


def speed_of(symbols: int) -> float:
    """The market's speed at which few minutes pass unpolled while a cycle runs."""
    return 20.0 if symbols < 100 else 3.0 if symbols < 1_000 else 1.0


def warm_ups(symbols: int) -> int:
    """Cycles before the first that counts: Java compiles while it works, more of it with more."""
    return 8 if symbols < 100 else 4 if symbols < 1_000 else 2


def poll(settings: Settings, *, minutes: int) -> None:
    """Poll and publish so many minutes, each once, as the market comes to them."""
    polled = 0
    while polled < minutes:
        report = ingest(settings)
        if report.is_skipped:
            time.sleep(6 / settings.simulator_speed)
            continue
        assert report.ticks, report.reason
        polled += 1


def cycle(settings: Settings, *, minutes: int) -> Cycle:
    """So many minutes wait on the topics; one cycle takes them all."""
    poll(settings, minutes=minutes)
    lake, bare = Path(settings.lake_root), settings.state_dir / "bare"
    before = folder_bytes(bare), folder_bytes(lake)
    with open_pipeline(settings) as pipeline:
        done = one_cycle(pipeline)
        written = folder_bytes(lake) - before[1]
        pipeline.settle()
        seconds = bare_appends(pipeline, bare)
    return Cycle(seconds=(seconds, done.whole), bytes=(folder_bytes(bare) - before[0], written))


def cycles(settings: Settings, *, minutes: int, warm: int, pairs: int) -> list[Cycle]:
    return [cycle(settings, minutes=minutes) for _ in range(warm + pairs)][warm:]


def measure(symbols: Sequence[int], minutes: Sequence[int], *, pairs: int) -> Growth:
    """A stack for each number of symbols; the first one's also takes several minutes at once."""
    by_symbols, by_minutes = {}, {}
    for size in symbols:
        options = {"SYMBOLS": watch_list(size), "HISTORY_HOURS": str(HISTORY_HOURS)}
        with stack(speed=speed_of(size), **options) as settings:
            by_symbols[size] = cycles(settings, minutes=1, warm=warm_ups(size), pairs=pairs)
            for number in minutes if size == symbols[0] else ():
                by_minutes[number] = cycles(settings, minutes=number, warm=1, pairs=pairs)
    return Growth(symbols=by_symbols, minutes=by_minutes)
