"""Counts and seeds: reduced in every run of the tests, full under `make prove`.

`make prove` keeps each result in docs/proofs with its seed, code version and date, and leaves
out what was proved before on the same code, so that it can be run in several sittings. Proved is
what was recorded after its assertions, at the full size, on a tree that is committed.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "proofs"
# What a proof is about; a change of a test or of a page does not make it void.
PROVED = ("crypto_pipeline", "requirements.lock", "jars.lock")


def is_full() -> bool:
    return os.environ.get("PROVE") == "1"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """One claim with its size; `record` keeps the figures when the size is the full one."""

    name: str
    count: int
    seed: int
    code: str

    def random(self) -> random.Random:
        return random.Random(self.seed)

    def record(self, **figures: object) -> None:
        """To be called after the last assertion: what is written was seen to hold."""
        if is_full():
            self._write(figures, {"holds": True})

    def keep(self, figures: dict[str, object]) -> None:
        """Write down what a sitting measured, and asserted nothing of: no claim is proved by it."""
        self._write(figures, {})

    def _write(self, figures: dict[str, object], claimed: dict[str, object]) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        content = {
            "claim": self.name,
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "code": self.code,
            "seed": self.seed,
            "count": self.count,
            **claimed,
            "figures": figures,
        }
        (FOLDER / f"{self.name}.json").write_text(json.dumps(content, indent=2) + "\n")

    @property
    def tally(self) -> Path:
        """What a proof of hours has done; committed, so that any machine goes on from there."""
        return FOLDER / "sittings" / f"{self.name}.json"

    @property
    def state(self) -> Path:
        """The folder of a proof of hours that goes on from its own lake, on this machine.

        What no commit names may be another tree tomorrow, so that each of its runs begins anew.
        """
        name = self.code if is_committed(self.code) else f"{self.code}-{self.seed}"
        return ROOT / "build" / "proofs" / self.name / name


def begin(name: str, *, reduced: int, full: int, also: tuple[str, ...] = ()) -> Proof:
    """A proof with a fresh, printed seed; under `make prove` skipped when this code has it.

    `also` names what it is about beside the package and its locks.
    """
    code = code_version(also)
    file = FOLDER / f"{name}.json"
    if is_full() and is_proved(file, code, full=full):
        pytest.skip(f"proved before on this code: {file.relative_to(ROOT)}")
    seed = fresh_seed()
    print(f"{name}: seed {seed}")  # noqa: T201 - a failure must be reproducible
    return Proof(name=name, count=full if is_full() else reduced, seed=seed, code=code)


def fresh_seed() -> int:
    """SEED where it is set, so that a run can be repeated."""
    return int(os.environ.get("SEED") or random.SystemRandom().randrange(2**31))


def is_proved(file: Path, code: str, *, full: int) -> bool:
    """Whether the file says that the claim was seen to hold at its full size on this code.

    Records of before `holds` was written: those of a sitting say how much is `left`, if nothing.
    """
    if not file.exists() or not is_committed(code):
        return False
    content = json.loads(file.read_text())
    was_asserted = content.get("holds", "left" not in content["figures"])
    return was_asserted and content["code"] == code and content["count"] >= full


def is_committed(code: str) -> bool:
    """Whether a code version names one tree for ever: git knew each part, and none was changed.

    >>> is_committed("e3d17b0-88b5ffb"), is_committed("e3d17b0-"), is_committed("e3d17b0-changed")
    (True, False, False)
    """
    return all(code.split("-")) and not code.endswith("-changed")


def code_version(also: tuple[str, ...] = ()) -> str:
    """The tree that is proved, by git's own hashes; `changed` when it is not what is committed.

    A part that git does not know is empty, so that such a tree is like no other: `is_committed`.
    """
    paths = (*PROVED, *also)
    hashes = [_git("rev-parse", "--short", f"HEAD:{path}") for path in paths]
    changed = _git("status", "--porcelain", "--", *paths)
    return "-".join(hashes) + ("-changed" if changed else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
