"""What a poll has gathered so far, and the class of what became of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import Outcome, Rejected
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.errors import (
    MarketError,
    PermanentMarketError,
    ToldToWaitError,
    TransientMarketError,
)
from crypto_pipeline.source.body import BROKEN_BODY

REASON_LIMIT = 2000


@dataclass(slots=True)
class Gathered:
    """What has come in so far; `failures` are of requests, `notes` of anything short of whole.

    `asked` are the symbols asked for, which a whole venue only tells with its answer.
    `due` are the symbols whose closed candle is owed, `missed` those whose request had
    no answer that tells whether there is one.
    """

    ticks: list[Tick] = field(default_factory=list)
    candles: list[Candle] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    failures: list[MarketError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    due: tuple[str, ...] = ()
    missed: list[str] = field(default_factory=list)
    endpoint: str = ""
    budget_used: int | None = None
    asked: tuple[str, ...] = ()

    @property
    def is_broken(self) -> bool:
        """Whether a body stopped being what was asked for: rows of it may never have come."""
        return any(row.reason in BROKEN_BODY for row in self.rejected)

    def add_budget(self, used: int | None) -> None:
        if used is not None:
            self.budget_used = max(used, self.budget_used or 0)


def numbered(rejected: list[Rejected]) -> tuple[Rejected, ...]:
    """Equal rows of one poll are told apart by their number, so that none is taken for a repeat."""
    seen: Counter[str] = Counter()
    found = []
    for row in rejected:
        found.append(replace(row, copy=seen[row.id]))
        seen[row.id] += 1
    return tuple(found)


def newest_event_at(got: Gathered) -> datetime | None:
    return max((tick.event_at for tick in got.ticks if tick.event_at is not None), default=None)


def outcome_of(got: Gathered, *, is_history: bool) -> tuple[Outcome, str | None]:
    """A failure's class when no tick came (of history: no sound body); partial when some did.

    A row of history that breaks a rule breaks it at the next try too, so it is an answer.
    """
    if got.failures:
        return _class_of(got.failures[0]), str(got.failures[0])[:REASON_LIMIT]
    notes = list(got.notes)
    if got.rejected:
        codes = sorted({row.reason for row in got.rejected})
        notes.append(f"{len(got.rejected)} rows rejected: {', '.join(codes)}")
    if not notes:
        return "ok", None
    # Candles beside a useless snapshot are kept, but the minute's prices are to be had elsewhere.
    is_useless = not got.candles and got.is_broken if is_history else not got.ticks and got.rejected
    outcome: Outcome = "wrong_content" if is_useless else "partial"
    return outcome, "; ".join(notes)[:REASON_LIMIT]


def _class_of(error: MarketError) -> Outcome:
    if isinstance(error, ToldToWaitError):
        return "told_to_wait"
    if isinstance(error, TransientMarketError):
        return "transient"
    return "permanent" if isinstance(error, PermanentMarketError) else "wrong_content"
