"""When a source has too many rejected rows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A source is held back when of at least `least_rows` rows this part or more is rejected."""

    rate: float
    least_rows: int

    def is_passed(self, *, rejected: int, rows: int) -> bool:
        """Whether so many rejected of so many rows are too many.

        >>> Limits(rate=0.2, least_rows=20).is_passed(rejected=4, rows=20)
        True
        """
        return rejected > 0 and rows >= self.least_rows and rejected / rows >= self.rate

    def environment(self) -> dict[str, str]:
        """The variables that make a child process see the same."""
        return {
            "REJECTION_RATE_LIMIT": str(self.rate),
            "REJECTION_LEAST_ROWS": str(self.least_rows),
        }


DEFAULT_LIMITS = Limits(rate=0.2, least_rows=20)
