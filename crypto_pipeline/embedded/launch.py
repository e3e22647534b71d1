"""How one process is started, as data: what a supervisor or a test needs and nothing more."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """`env` is added to the base environment. It may hold a secret, so it never prints."""

    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict, repr=False)
    cwd: Path = PROJECT_ROOT
