"""Where a run can be cut: before, inside and after every commit of every stage, as data."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, get_args

from crypto_pipeline.stages import STAGES

# before: the client is about to send the write. written: its files are there, its log entry is
# not. committed: the entry is there, the client has not heard of it.
Moment = Literal["before", "written", "committed"]
Victim = Literal["worker", "spark", "broker"]
MOMENTS: tuple[Moment, ...] = get_args(Moment)
VICTIMS: tuple[Victim, ...] = get_args(Victim)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """One boundary of one table's commit; between two commits of a stage lie two of them."""

    stage: str
    table: str
    moment: Moment

    @property
    def name(self) -> str:
        return f"{self.table} {self.moment}"


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


# In the order in which a run comes to them: sides, then the primary.
SEAMS: tuple[Seam, ...] = tuple(
    Seam(stage=stage.name, table=table.key, moment=moment)
    for stage in STAGES
    for table in stage.outputs
    for moment in MOMENTS
)
# A warm cycle of the feed's minute takes about this long on two quiet cores.
CYCLE_SECONDS = 8.0
# Kills of one victim in a row.
TURN = 10


def every_seam() -> list[Kill]:
    """Each seam with each victim. One minute passes some seams of one victim in the order of the
    data; then it is the next one's turn, so that a proof that is not at its end has all three.
    """
    return [
        Kill(victim=victim, seam=seam)
        for begin in range(0, len(SEAMS), TURN)
        for victim in VICTIMS
        for seam in SEAMS[begin : begin + TURN]
    ]


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
