"""Where a run can be cut: before, inside and after every commit of every stage, as data."""

from __future__ import annotations

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


# In the order in which a run comes to them: sides, then the primary.
SEAMS: tuple[Seam, ...] = tuple(
    Seam(stage=stage.name, table=table.key, moment=moment)
    for stage in STAGES
    for table in stage.outputs
    for moment in MOMENTS
)
