"""Which fault comes when: a pure function of a seed and an index, so that any sitting can go on.

Each round has every kind once, in an order of its own. A tenth of the faults come as pairs that
overlap; the second is of another group.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from crypto_pipeline_tests.chaos.kinds import KINDS, Kind

PAIRED = 0.1
# These are asked of the market or sent to a port, which has to answer.
ASKED = ("venue", "records", "poison", "hostile")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind, how long it lasts, and a number between 0 and 1 for whatever else varies."""

    kind: Kind
    seconds: float
    dice: float

    @property
    def name(self) -> str:
        return self.kind.name


def faults_at(seed: int, index: int, kinds: Sequence[Kind] = KINDS) -> tuple[Fault, ...]:
    """The fault of an index, or the two that overlap.

    >>> faults_at(7, 3) == faults_at(7, 3)
    True
    """
    turn, place = divmod(index, len(kinds))
    order = random.Random(f"{seed}/{turn}").sample(list(kinds), len(kinds))
    dice = random.Random(f"{seed}:{index}")
    first = order[place]
    found = [_fault(first, dice)]
    others = [kind for kind in kinds if kind.group != first.group]
    if dice.random() < PAIRED and others:
        found.append(_fault(dice.choice(others), dice))
    return tuple(found)


def in_order(faults: Sequence[Fault]) -> list[Fault]:
    """Those that somebody has to answer come first: the other one of a pair may pause or kill it.

    They end in the opposite order, so whoever answers is there again when they heal.
    """
    return sorted(faults, key=lambda fault: fault.kind.group not in ASKED)


def _fault(kind: Kind, dice: random.Random) -> Fault:
    return Fault(kind=kind, seconds=round(dice.uniform(*kind.lasts), 1), dice=dice.random())
