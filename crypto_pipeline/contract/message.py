"""What every record on a topic has in common: clocks, ids, JSON.

Times travel as ISO-8601 UTC with microseconds and a `Z`. Prices travel as decimal
strings, never as JSON numbers, so no reader can round them by accident.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec

SCHEMA_VERSION = 1
JSON = msgspec.json.Encoder()

MarketKind = Literal["live", "simulated", "recorded"]
MARKET_KINDS: tuple[MarketKind, ...] = ("live", "simulated", "recorded")


def fact_id(*parts: str) -> str:
    """Hash the parts into an id; a separator keeps ("ab", "c") apart from ("a", "bc").

    >>> fact_id("tick", "binance", "BTC-USDT", "2026-11-23T10:05:00.000000Z")[:12]
    '4a5ac76eec76'
    """
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def format_time(moment: datetime) -> str:
    """Write an aware time as UTC text; a naive one is refused with ValueError.

    >>> format_time(datetime(2026, 11, 23, 10, 5, tzinfo=UTC))
    '2026-11-23T10:05:00.000000Z'
    """
    if moment.tzinfo is None:
        raise ValueError("a time without a time zone cannot be published")
    own = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return own.isoformat(timespec="microseconds")[:-6] + "Z"


@lru_cache(maxsize=64)
def shared_time(moment: datetime) -> str:
    """`format_time` for a time that all facts of a poll have in common."""
    return format_time(moment)


def parse_time(text: str) -> datetime:
    """Read what `format_time` wrote, or any ISO-8601 time with an offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} has no time zone")
    return moment.astimezone(UTC)


def format_optional_time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)


def message_key(source: str, symbol: str) -> bytes:
    """Kafka key: one source and symbol always share a partition, so they stay in order."""
    return f"{source}|{symbol}".encode()


def encode(payload: dict[str, Any]) -> bytes:
    return JSON.encode(payload)
