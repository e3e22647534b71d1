"""`python -m crypto_pipeline_tests.crash.kills`: kill everything everywhere, then count.

    --seams all|kinds    every seam with every victim, or each moment and each victim once
    --random N           and N kills at random moments
    --sitting MINUTES    stop after so long; the next call goes on where this one was
    --state FILE         where what was done is kept

It prints a line a chunk and at the end kills, lost and doubled. A chunk's kills count only when
the lake's balance after them was taken.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crypto_pipeline import settings as settings_module
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import STAGES
from crypto_pipeline_tests.conftest import free_port
from crypto_pipeline_tests.crash.killed_stack import KilledStack, killed_stack
from crypto_pipeline_tests.crash.seams import MOMENTS, SEAMS, VICTIMS, Seam, Victim
from crypto_pipeline_tests.proof import code_version

CHUNK = 10
# A warm cycle of the feed's minute takes about this long on two quiet cores.
CYCLE_SECONDS = 12.0
# A seam whose table has no row in a cycle is come to in the next.
TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One kill: at a seam, or so many seconds after a run began."""

    victim: Victim
    seam: Seam | None = None
    after: float = 0.0

    @property
    def name(self) -> str:
        where = self.seam.name if self.seam else f"after {self.after:.3f} s"
        return f"{self.victim} {where}"


@dataclass
class Tally:
    """What was done and seen so far; `file` keeps it between two sittings."""

    file: Path | None
    code: str
    kills: list[str] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0
    records: int = 0
    seconds: float = 0.0

    @classmethod
    def open(cls, file: Path | None) -> Tally:
        """What was done on this code; on another code it would prove nothing."""
        code = code_version()
        if file is not None and file.exists():
            content: dict[str, Any] = json.loads(file.read_text())
            if content["code"] == code:
                return cls(file=file, **content)
        return cls(file=file, code=code)

    def save(self) -> None:
        if self.file is not None:
            content = {k: v for k, v in vars(self).items() if k != "file"}
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps(content, indent=1))

    def counts(self) -> dict[str, int]:
        return {v: sum(name.startswith(v) for name in self.kills) for v in VICTIMS}


def every_seam() -> list[Kill]:
    """All seams of one victim in the order of the data: one minute passes many of them."""
    return [Kill(victim=victim, seam=seam) for victim in VICTIMS for seam in SEAMS]


def each_kind(dice: random.Random) -> list[Kill]:
    """Each moment once and each victim once, at tables of the dice's choice, in order of the data.

    The broker is killed where its records are read; elsewhere a run does not need it.
    """
    victims = list(VICTIMS)
    dice.shuffle(victims)
    tables = [stage.outputs for stage in STAGES]
    kills = []
    for victim, moment in zip(victims, MOMENTS, strict=True):
        at = 0 if victim == "broker" else dice.randrange(len(tables))
        table = dice.choice(tables[at])
        seam = next(s for s in SEAMS if s.table == table.key and s.moment == moment)
        kills.append(Kill(victim=victim, seam=seam))
    return sorted(kills, key=lambda kill: SEAMS.index(kill.seam or SEAMS[0]))


def at_random(count: int, dice: random.Random) -> list[Kill]:
    return [
        Kill(victim=VICTIMS[number % 3], after=dice.uniform(0.0, CYCLE_SECONDS))
        for number in range(count)
    ]


def chunks(kills: Sequence[Kill]) -> Iterator[Sequence[Kill]]:
    for begin in range(0, len(kills), CHUNK):
        yield kills[begin : begin + CHUNK]


def left(kills: Sequence[Kill], tally: Tally) -> list[Kill]:
    """Without what was done before; a random kill counts by its number, not by its moment."""
    done = set(tally.kills)
    random_done = sum(" after " in name for name in tally.kills)
    seams = [kill for kill in kills if kill.seam is not None and kill.name not in done]
    return seams + [kill for kill in kills if kill.seam is None][random_done:]


def carry_out(stack: KilledStack, kill: Kill) -> None:
    """Kill once; new minutes come when the run had none for the seam."""
    for number in range(TRIES):
        if kill.seam is None or not stack.has_new:
            stack.send_minute()
        is_killed = (
            stack.cut_after(kill.after / (number + 1), kill.victim)
            if kill.seam is None
            else stack.cut(kill.seam, kill.victim)
        )
        if is_killed:
            return
    raise AssertionError(f"{kill.name} was not come to in {TRIES} cycles")


def kill_all(stack: KilledStack, kills: Sequence[Kill], tally: Tally, *, until: float) -> bool:
    """Chunk by chunk, balance after each; False when the sitting was over before the end."""
    for chunk in chunks(left(kills, tally)):
        if time.monotonic() > until:
            return False
        begun = time.monotonic()
        for kill in chunk:
            carry_out(stack, kill)
        found = stack.balance()
        tally.kills += [kill.name for kill in chunk]
        tally.lost += sum(found.lost.values())
        tally.doubled += sum(found.doubled.values())
        tally.records = max(tally.records, found.records)
        tally.seconds += round(time.monotonic() - begun, 1)
        tally.save()
        print(  # noqa: T201 - a command's output
            f"{len(tally.kills)} kills, lost {found.lost}, doubled {found.doubled}", flush=True
        )
        assert found.holds, found
    return True


def fresh_settings(folder: Path) -> Settings:
    """A state folder and ports of its own; jars come from where they always are."""
    names = ("KAFKA_PORT", "KAFKA_CONTROLLER_PORT", "SPARK_PORT")
    values = {"STATE_DIR": str(folder), "MARKET": "simulated", "HISTORY_HOURS": "0"}
    ports = {name: str(free_port()) for name in names}
    return settings_module.load({**values, **ports}, env_file=folder / "no.env")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seams", choices=("all", "kinds", "none"), default="all")
    parser.add_argument("--random", type=int, default=60)
    parser.add_argument("--victim", choices=VICTIMS)
    parser.add_argument("--sitting", type=float, default=24 * 60)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    given = parser.parse_args(arguments)
    dice = random.Random(given.seed)
    chosen = {"all": every_seam, "kinds": lambda: each_kind(dice), "none": list}[given.seams]()
    kills = [*chosen, *at_random(given.random, dice)]
    kills = [kill for kill in kills if given.victim in (None, kill.victim)]
    tally = Tally.open(given.state)
    until = time.monotonic() + given.sitting * 60
    with (
        tempfile.TemporaryDirectory() as folder,
        killed_stack(fresh_settings(Path(folder))) as stack,
    ):
        is_whole = kill_all(stack, kills, tally, until=until)
    print(  # noqa: T201 - a command's output
        f"seed {given.seed}: {len(tally.kills)} kills {tally.counts()} in {tally.seconds:.0f} s, "
        f"lost {tally.lost}, doubled {tally.doubled}{'' if is_whole else ' (not all yet)'}"
    )
    return 1 if tally.lost or tally.doubled else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
