"""What a metric is, as data: its name, its type, and the few values that each label may take.

A label takes only declared values, so the number of series is bounded by what is written
here and no symbol, address or message can become one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]

OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """`name` is as it stands on the page; its last word is the unit. `alarm` may be empty."""

    name: str
    kind: Kind
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()
    alarm: str = ""

    def bounded(self, values: Sequence[str]) -> tuple[str, ...]:
        """The values of the labels in their order; one that is not declared becomes `other`."""
        if len(values) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {list(self.labels)}, not {list(values)}")
        return tuple(
            value if value in accepted else OTHER
            for value, accepted in zip(values, self.labels.values(), strict=True)
        )

    @property
    def most_series(self) -> int:
        """How many series there can ever be, `other` of each label included."""
        count = 1
        for accepted in self.labels.values():
            count *= len({*accepted, OTHER})
        return count
