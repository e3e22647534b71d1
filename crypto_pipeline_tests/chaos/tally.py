"""What was done and found so far, kept over several sittings."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from crypto_pipeline_tests.chaos.checker import Verdict
from crypto_pipeline_tests.proof import ROOT, is_committed

FOLDER = ROOT / "docs" / "reliability"


@dataclass
class Tally:
    """Chunks by the index of their first fault; one that did not end is done again.

    Each keeps the version of the code it harmed: the whole takes longer than code stays the same.
    One on a tree that no commit names is not gone on with.
    """

    seed: int
    chunks: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, seed: int, file: Path) -> Tally:
        """What was done with this seed."""
        if file.exists():
            content = json.loads(file.read_text())
            if content["seed"] == seed:
                chunks = content["chunks"].items()
                return cls(seed, {k: one for k, one in chunks if is_committed(one["code"])})
        return cls(seed=seed)

    def add(self, begin: int, campaign: dict[str, Any], verdict: Verdict, *, code: str) -> None:
        self.chunks[str(begin)] = {"code": code, **campaign, "verdict": asdict(verdict)}

    def save(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")

    def done(self) -> set[int]:
        """Indexes of faults after which the books were looked at."""
        return {one["index"] for chunk in self.chunks.values() for one in chunk["healed"]}


def file_of(board: str) -> Path:
    """Where the tally of a scoreboard is; committed, so that any machine goes on from there."""
    return FOLDER / "sittings" / f"{board}.json"


def last_seed(file: Path) -> int | None:
    """The seed of the sitting before, so that a call without one goes on with it."""
    return int(json.loads(file.read_text())["seed"]) if file.exists() else None
