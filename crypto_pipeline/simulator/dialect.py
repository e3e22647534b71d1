"""The seam between HTTP and a venue's own words: questions, answers, refusals, limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crypto_pipeline.simulator.limits import Limit
from crypto_pipeline.simulator.market import Market

# Where a value sits: the object or array that holds it, and its name or position there.
Slot = tuple[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request: the path without the venue's prefix, the parameters, lower-case headers."""

    path: str
    query: Mapping[str, str]
    now_ms: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON value and what the request weighed against the venue's limit."""

    content: Any
    weight: int = 1


class RefusedError(Exception):
    """The venue declines: a status, which may be 200, and a body."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The first row of a body and where its prices are; faults spoil it there."""

    row: Slot | None
    price: Slot
    bid: Slot | None = None
    ask: Slot | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A venue as data: where it answers, what it says, how it fails, what it bears.

    `failures` are status and body by kind of fault; `over_limit` names the one for asking too
    often. `shows_weight` adds Binance's headers.
    """

    name: str
    prefix: str
    paths: tuple[str, ...]
    answer: Callable[[Market, Question], Answer]
    first_row: Callable[[Any], Row | None]
    failures: Mapping[str, tuple[int, Any]]
    make_limits: Callable[[float], tuple[Limit, ...]]
    over_limit: str = "429"
    shows_weight: bool = False
