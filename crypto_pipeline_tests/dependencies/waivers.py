"""Waivers with a date, and what is left of the advisories without what they waive."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from crypto_pipeline_tests.dependencies.advisories import Advisory

FILE = Path(__file__).with_name("waivers.toml")
# Longer than this nobody remembers why.
LONGEST = timedelta(days=183)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    advisory: str
    package: str
    until: date
    reason: str

    def waives(self, advisory: Advisory) -> bool:
        name = advisory.package.rpartition("@")[0]
        return self.package == name and self.advisory in advisory.names


def read_waivers(file: Path = FILE) -> list[Waiver]:
    """Raises TypeError for one with a field too many or too few."""
    return [Waiver(**one) for one in tomllib.loads(file.read_text())["waiver"]]


def judged(advisories: Sequence[Advisory], waivers: Sequence[Waiver], *, today: date) -> list[str]:
    """A line for each thing that is not in order."""
    lines = [
        f"{one.package}: {one.name} ({one.severity}) {one.summary}".rstrip()
        for one in advisories
        if not any(waiver.waives(one) for waiver in waivers)
    ]
    for waiver in waivers:
        what = f"The waiver of {waiver.advisory} for {waiver.package}"
        if not waiver.reason.strip():
            lines.append(f"{what} has no reason.")
        if waiver.until < today:
            lines.append(f"{what} was over on {waiver.until}. Raise the version, or judge anew.")
        elif waiver.until > today + LONGEST:
            lines.append(f"{what} ends on {waiver.until}, more than half a year ahead.")
        if not any(waiver.waives(one) for one in advisories):
            lines.append(f"{what} has nothing left to waive. Take it out.")
    return lines
