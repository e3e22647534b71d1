"""From a poll's payload to a point; ValueError when it is not what its topic promises."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from crypto_pipeline.contract.message import parse_time
from dashboard.points import CandlePoint, Key, PollPoint, TickPoint
from dashboard.words import count_digits

Point = TypeVar("Point")

TEXT_LIMIT = 512


def read_key(value: dict[str, Any]) -> Key:
    return text_of(value, "source"), text_of(value, "symbol")


def read_tick(value: dict[str, Any], broker_at: datetime) -> TickPoint:
    return checked(
        lambda: TickPoint(
            market=text_of(value, "market"),
            source=text_of(value, "source"),
            venue=text_of(value, "venue"),
            symbol=text_of(value, "symbol"),
            poll_at=parse_time(value["poll_at"]),
            observed_at=parse_time(value["observed_at"]),
            broker_at=broker_at,
            price=price_of(value, "price"),
            digits=count_digits([price_of(value, "price")]),
        )
    )


def read_candle(value: dict[str, Any]) -> CandlePoint:
    return checked(
        lambda: CandlePoint(
            open_at=parse_time(value["open_at"]),
            observed_at=parse_time(value["observed_at"]),
            open=float(price_of(value, "open")),
            high=float(price_of(value, "high")),
            low=float(price_of(value, "low")),
            close=float(price_of(value, "close")),
            volume=float(price_of(value, "volume")),
        )
    )


def read_poll(value: dict[str, Any], broker_at: datetime) -> PollPoint:
    reason = value.get("reason")
    return checked(
        lambda: PollPoint(
            source=text_of(value, "source"),
            venue=text_of(value, "venue"),
            purpose=text_of(value, "purpose"),
            poll_at=parse_time(value["poll_at"]),
            broker_at=broker_at,
            outcome=text_of(value, "outcome"),
            reason=None if reason is None else str(reason)[:TEXT_LIMIT],
            asked=len(value["symbols_asked"]),
            published=int(value["published"]),
            unchanged=int(value["unchanged"]),
            rejected=int(value["rejected"]),
        )
    )


def checked(read: Callable[[], Point]) -> Point:
    try:
        return read()
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def text_of(value: dict[str, Any], name: str) -> str:
    text = value[name]
    if not isinstance(text, str) or not text:
        raise ValueError(f"{name} is {text!r}, text is expected")
    return text[:TEXT_LIMIT]


def price_of(value: dict[str, Any], name: str) -> str:
    """The decimal text itself, checked to be a finite number."""
    text = value[name]
    if not isinstance(text, str) or not Decimal(text).is_finite():
        raise ValueError(f"{name} is {text!r}, a decimal text is expected")
    return text[:TEXT_LIMIT]
