"""What is wrong, as a value: one alert a key, with the section of the runbook that helps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Kind = Literal["run_failed", "stale", "books", "check", "gaps"]

# A condition must last so long before anybody is woken: after a start everything is stale.
HOLDS_FOR: dict[Kind, timedelta] = {
    "run_failed": timedelta(0),
    "stale": timedelta(minutes=3),
    "books": timedelta(0),
    "check": timedelta(0),
    "gaps": timedelta(minutes=15),
}
# Headings of docs/runbook.md; a test holds them together.
SECTIONS: dict[Kind, str] = {
    "run_failed": "a-run-failed",
    "stale": "a-table-is-stale",
    "books": "the-books-do-not-balance",
    "check": "a-check-failed",
    "gaps": "minutes-are-missing",
}
RUNBOOK = "docs/runbook.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """`subject` is what it is about: a job, a table, a check; with the kind it is the key."""

    kind: Kind
    subject: str
    text: str

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.subject}"


def runbook_link(key: str, *, base: str) -> str:
    """Where the runbook speaks of it; `base` is a folder or an address that ends before `docs`."""
    kind: Kind = key.split(":", 1)[0]  # type: ignore[assignment]
    return f"{base.rstrip('/')}/{RUNBOOK}#{SECTIONS[kind]}"
