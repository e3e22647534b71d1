"""What `/healthz` answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """`problems` are sentences, none when all is well; `facts` are for a person to read."""

    problems: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        return 503 if self.problems else 200

    def content(self) -> dict[str, Any]:
        word = "unwell" if self.problems else "ok"
        return {"status": word, "problems": list(self.problems), **self.facts}
