"""What was killed and what was seen after it, kept over several sittings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crypto_pipeline_tests.crash.balance import Balance
from crypto_pipeline_tests.crash.seams import VICTIMS, Kill
from crypto_pipeline_tests.proof import Proof, is_committed


@dataclass
class Tally:
    """What was done and seen so far; `file` keeps it between two sittings."""

    file: Path | None
    code: str
    seed: int
    kills: list[str] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0
    records: int = 0
    seconds: float = 0.0
    harmed: dict[str, int] = field(default_factory=dict)

    @classmethod
    def open(cls, file: Path | None, claim: Proof) -> Tally:
        """What was done on this code; of another, or one no commit names, it proves nothing."""
        if file is not None and file.exists() and is_committed(claim.code):
            content: dict[str, Any] = json.loads(file.read_text())
            if content["code"] == claim.code:
                return cls(file=file, **content)
        return cls(file=file, code=claim.code, seed=claim.seed)

    def save(self) -> None:
        if self.file is not None:
            content = {k: v for k, v in vars(self).items() if k != "file"}
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps(content, indent=1))

    def add(self, kills: list[str], found: Balance, *, seconds: float) -> None:
        """Kills of which the balance was taken, and what it was."""
        self.kills += kills
        self.lost += sum(found.lost.values())
        self.doubled += sum(found.doubled.values())
        self.records = max(self.records, found.records)
        self.seconds = round(self.seconds + seconds, 1)

    def counts(self) -> dict[str, int]:
        return {v: sum(name.startswith(v) for name in self.kills) for v in VICTIMS}

    def figures(self, *, left: int) -> dict[str, Any]:
        """What a proof says of it; `left` are the kills that are still to be made."""
        at_random = sum(" after " in name for name in self.kills)
        return {
            "kills": self.counts(),
            "at_seams": len(self.kills) - at_random,
            "at_random_moments": at_random,
            "left": left,
            "lost": self.lost,
            "doubled": self.doubled,
            "records": self.records,
            "seconds": round(self.seconds),
            **({"requests_harmed": self.harmed} if self.harmed else {}),
        }


def left(kills: Sequence[Kill], tally: Tally) -> list[Kill]:
    """Without what was done before; a random kill counts by its number, not by its moment."""
    done = set(tally.kills)
    random_done = sum(" after " in name for name in tally.kills)
    seams = [kill for kill in kills if kill.seam is not None and kill.name not in done]
    return seams + [kill for kill in kills if kill.seam is None][random_done:]
