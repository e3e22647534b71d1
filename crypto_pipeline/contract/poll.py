"""What a poll leaves behind: its own record, and what it could not use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from crypto_pipeline.contract.message import (
    SCHEMA_VERSION,
    MarketKind,
    encode,
    fact_id,
    format_optional_time,
    format_time,
    message_key,
)

Outcome = Literal["ok", "partial", "transient", "told_to_wait", "permanent", "wrong_content"]
Purpose = Literal["minute", "history", "backfill", "repair"]

# One record must stay well under the broker's 1 MiB limit; a longer body is cut and said so.
BODY_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PollRecord:
    """One venue and minute, sent after the last ack: served = published + unchanged + rejected.

    `venue_reason` says why this venue was asked where it was not the first in line;
    `newest_event_at` is the venue's newest time among the ticks, so its distance from
    `ended_at` is the age of the answer.
    `purpose` tells the minute's poll from a fetch of candles that open in [poll_at, until_at).
    `candles` counts those that rode along. `candles_due` are the symbols whose just-closed
    candle a minute's poll was to bring; `candles_missed` those whose request got no answer, or
    one that does not tell whether there is a candle.
    """

    market: MarketKind
    source: str
    venue: str
    poll_at: datetime
    started_at: datetime
    ended_at: datetime
    endpoint: str
    purpose: Purpose
    outcome: Outcome
    reason: str | None
    symbols_asked: tuple[str, ...]
    served: int
    published: int
    unchanged: int
    rejected: int
    candles: int
    budget_used: int | None
    venue_reason: str | None = None
    newest_event_at: datetime | None = None
    until_at: datetime | None = None
    candles_due: tuple[str, ...] = ()
    candles_missed: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return fact_id("poll", self.source, self.purpose, format_time(self.started_at))

    @property
    def key(self) -> bytes:
        return message_key(self.source, "*")

    def encode(self) -> bytes:
        return encode(self.payload())

    def payload(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "poll",
            "id": self.id,
            "market": self.market,
            "source": self.source,
            "venue": self.venue,
            "poll_at": format_time(self.poll_at),
            "started_at": format_time(self.started_at),
            "ended_at": format_time(self.ended_at),
            "endpoint": self.endpoint,
            "purpose": self.purpose,
            "outcome": self.outcome,
            "reason": self.reason,
            "symbols_asked": list(self.symbols_asked),
            "served": self.served,
            "published": self.published,
            "unchanged": self.unchanged,
            "rejected": self.rejected,
            "candles": self.candles,
            "budget_used": self.budget_used,
            "venue_reason": self.venue_reason,
            "newest_event_at": format_optional_time(self.newest_event_at),
            "until_at": format_optional_time(self.until_at),
            "candles_due": list(self.candles_due),
            "candles_missed": list(self.candles_missed),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A body or row without a tick or candle, kept verbatim up to `BODY_LIMIT` characters.

    `copy` numbers equal rows of one poll, so that each keeps an id of its own.
    """

    market: MarketKind
    source: str
    venue: str
    poll_at: datetime
    observed_at: datetime
    endpoint: str
    reason: str
    detail: str
    body: str
    copy: int = 0

    @property
    def id(self) -> str:
        moment = format_time(self.poll_at)
        copy = (str(self.copy),) if self.copy else ()
        return fact_id(
            "rejected", self.source, moment, self.endpoint, self.reason, self.body, *copy
        )

    @property
    def key(self) -> bytes:
        return message_key(self.source, "*")

    def encode(self) -> bytes:
        return encode(self.payload())

    def payload(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "rejected",
            "id": self.id,
            "market": self.market,
            "source": self.source,
            "venue": self.venue,
            "poll_at": format_time(self.poll_at),
            "observed_at": format_time(self.observed_at),
            "endpoint": self.endpoint,
            "reason": self.reason,
            "detail": self.detail,
            "body": self.body[:BODY_LIMIT],
            "is_cut": len(self.body) > BODY_LIMIT,
        }
