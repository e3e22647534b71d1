"""Is what is laid down what real cycles leave? `python -m crypto_pipeline_tests.fabricated.check`

    --cycles N           real cycles with maintenance, and as many minutes laid down (200)
    --symbols S          of the market that both have (20)
    --sitting MINUTES    stop after so long; the next call goes on where this one was

Prints for every table what the laid down has over what the real has: live files, objects and bytes
of the log, time of a snapshot, and the share of rows that both have alike. The exit code is 1 when
one is off by more than a tenth. The result of 200 cycles or more is kept in docs/proofs, with the
tables that are `off`.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from crypto_pipeline.lake.table import Table
from crypto_pipeline.stream.ranges import read_ends
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.builders import AT, MINUTE
from crypto_pipeline_tests.fabricated.agreement import alike
from crypto_pipeline_tests.fabricated.describe import Described, describe, seconds_to_open, tables
from crypto_pipeline_tests.fabricated.fabricate import fabricate
from crypto_pipeline_tests.fabricated.feed import feed_of
from crypto_pipeline_tests.fabricated.market import Market
from crypto_pipeline_tests.maintenance.day import UPKEEP_EVERY, Day, a_day, live
from crypto_pipeline_tests.topics import NAMES

ALLOWED = 0.10
FULL = 200
OPENED = 101


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One table: what was laid down over what is real; `alike` is the share of equal rows."""

    key: str
    files: float
    log_objects: float
    log_bytes: float
    load: float
    alike: float

    @property
    def is_near(self) -> bool:
        of = (self.files, self.log_objects, self.log_bytes, self.load, self.alike)
        return all(abs(ratio - 1) <= ALLOWED for ratio in of)


def compared(real: Path, laid: Path, *, today: date, opened: int = OPENED) -> list[Ratio]:
    """Every table of either; one that only one of them has is an error."""
    has, got = describe(real, today=today, opened=1), describe(laid, today=today, opened=1)
    if has.keys() != got.keys():
        raise AssertionError(f"not in both: {sorted(has.keys() ^ got.keys())}")
    return [
        _ratio(
            table,
            has[table.key],
            got[table.key],
            load=load(real / table.key, laid / table.key, opened=opened),
            same=alike(real / table.key, laid / table.key, table),
        )
        for table in tables()
    ]


def load(real: Path, laid: Path, *, opened: int) -> float:
    """How much longer the laid one's snapshot takes: medians of many, both in turn."""
    taken: dict[Path, list[float]] = {real: [], laid: []}
    for number in range(opened):
        for path in (real, laid) if number % 2 else (laid, real):
            taken[path].append(seconds_to_open(path))
    return statistics.median(taken[laid]) / statistics.median(taken[real])


def _ratio(table: Table, had: Described, has: Described, *, load: float, same: float) -> Ratio:
    def of(name: str) -> float:
        before, now = (_total(one, name) for one in (had, has))
        return round(now / before, 3) if before else float(now == before)

    return Ratio(
        key=table.key,
        files=of("files"),
        log_objects=of("log_objects"),
        log_bytes=of("log_bytes"),
        load=round(load, 3),
        alike=round(same, 4),
    )


def _total(one: Described, name: str) -> int:
    return one.past_files + one.now_files if name == "files" else int(getattr(one, name))


def run(day: Day, *, cycles: int, symbols: int, until: float, laid: Path) -> list[Ratio] | None:
    """Real cycles up to that many; then as many are laid down beside. None when time is over."""
    market = Market(count=symbols, begin=AT)
    day = replace(day, feed=feed_of(day.settings, market, minutes=day.feed.minutes))
    live(day, minutes=cycles, until=until)
    if day.feed.minutes < cycles:
        return None
    shutil.rmtree(laid, ignore_errors=True)
    now = AT + cycles * MINUTE
    fabricate(
        laid,
        minutes=cycles,
        symbols=symbols,
        ends=read_ends(day.settings, NAMES),
        now=now,
        look_every=UPKEEP_EVERY,
        lease_epoch=day.pipeline.lake.lease_epoch,
    )
    return compared(Path(day.pipeline.lake.root), laid, today=now.date())


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=FULL)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--sitting", type=float, default=24 * 60)
    given = parser.parse_args(arguments)
    claim = proof.begin("fabricated-history", reduced=given.cycles, full=given.cycles)
    until = time.monotonic() + given.sitting * 60
    folder = claim.state / f"{given.symbols}-symbols"
    with a_day(folder / "real") as day:
        # As deep as the real one: a longer path alone costs a twentieth of a small table's time.
        laid = folder / "laid" / Path(day.pipeline.lake.root).relative_to(folder / "real")
        ratios = run(day, cycles=given.cycles, symbols=given.symbols, until=until, laid=laid)
    if ratios is None:
        print("the sitting is over before the cycles are")  # noqa: T201 - a command's output
        return 2
    for ratio in ratios:
        mark = "" if ratio.is_near else "  <- off"
        print(f"{asdict(ratio)}{mark}")  # noqa: T201
    found = figures(ratios, symbols=given.symbols)
    if given.cycles >= FULL:
        claim.keep(found)
    return 1 if found["off"] else 0


def figures(ratios: Sequence[Ratio], *, symbols: int) -> dict[str, Any]:
    """What is kept; `off` are the tables that are not alike within what is allowed."""
    return {
        "symbols": symbols,
        "off": [ratio.key for ratio in ratios if not ratio.is_near],
        "tables": [asdict(ratio) for ratio in ratios],
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
