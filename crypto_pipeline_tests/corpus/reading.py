"""A second, plain reading of snapshot rows: what they say, and all that is wrong with them.

Shares no code with `crypto_pipeline.source`: fields are looked up by path in plain JSON whose
numbers keep their text, and a row with no fault must become a tick.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

Path = tuple[str | int, ...]

NUMERIC = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
WHOLE = re.compile(r"-?[0-9]{1,18}")
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Field of a tick to where each venue has it.
NUMBERS: dict[str, dict[str, Path]] = {
    "binance": {
        "price": ("lastPrice",),
        "bid": ("bidPrice",),
        "ask": ("askPrice",),
        "bid_size": ("bidQty",),
        "ask_size": ("askQty",),
        "open_24h": ("openPrice",),
        "high_24h": ("highPrice",),
        "low_24h": ("lowPrice",),
        "volume_24h": ("volume",),
        "quote_volume_24h": ("quoteVolume",),
    },
    "kraken": {
        "price": ("c", 0),
        "bid": ("b", 0),
        "ask": ("a", 0),
        "bid_size": ("b", 2),
        "ask_size": ("a", 2),
        "high_24h": ("h", 1),
        "low_24h": ("l", 1),
        "volume_24h": ("v", 1),
    },
    "coinbase": {
        "price": ("price",),
        "bid": ("bid",),
        "ask": ("ask",),
        "volume_24h": ("volume",),
    },
    "coingecko": {
        "price": ("current_price",),
        "high_24h": ("high_24h",),
        "low_24h": ("low_24h",),
        "quote_volume_24h": ("total_volume",),
        "market_cap": ("market_cap",),
    },
}
COUNTS: dict[str, dict[str, Path]] = {
    "binance": {"trades_24h": ("count",), "mark": ("lastId",)},
    "kraken": {"trades_24h": ("t", 1)},
    "coinbase": {"mark": ("trade_id",)},
    "coingecko": {},
}
TIMES = {"binance": "closeTime", "coinbase": "time", "coingecko": "last_updated"}
KRAKEN_ARRAYS = ("a", "b", "c", "v", "t", "l", "h")


class Lexeme(str):
    """A JSON number as it is written."""

    __slots__ = ()


class Absent:
    """What a path leads to where there is nothing."""


def load(body: str) -> Any:
    return json.loads(body, parse_int=Lexeme, parse_float=Lexeme, parse_constant=Lexeme)


def at(row: Any, path: Path) -> Any:
    for step in path:
        try:
            row = row[step]
        except (KeyError, IndexError, TypeError):
            return Absent
    return row


def faults(venue: str, name: Any, row: Any, names: Mapping[str, str]) -> set[str]:
    """The reasons for which this row may be rejected; empty when it must be a tick."""
    if not isinstance(row, Mapping):
        return {"not_an_object"}
    found = set()
    if name is Absent:
        found.add("missing_field")
    elif not isinstance(name, str) or name not in names:
        found.add("unknown_symbol")
    if venue == "kraken":
        found |= _odd_arrays(row)
    for field, path in NUMBERS[venue].items():
        found |= _number(venue, field, at(row, path))
    for field, path in COUNTS[venue].items():
        found |= count_faults(at(row, path), may_be_less=field == "mark")
    if _is_crossed(venue, row):
        found.add("crossed")
    return found | _time(venue, row)


def event_at(venue: str, row: Any) -> datetime | None:
    value = at(row, (TIMES[venue],)) if venue in TIMES else None
    if value is None or value is Absent:
        return None
    if venue == "binance":
        return EPOCH + timedelta(milliseconds=int(value))
    return datetime.fromisoformat(value).astimezone(UTC)


def number_faults(value: Any, *, may_be_zero: bool) -> set[str]:
    """An exact multiple of 1e-18 below 1e20, and not below zero."""
    if not isinstance(value, str) or not NUMERIC.fullmatch(value):
        return {"not_a_number"}
    number = Fraction(Decimal(value))
    if number < 0 or (number == 0 and not may_be_zero):
        return {"not_positive"}
    is_held = (number * 10**18).denominator == 1 and number < 10**20
    return set() if is_held else {"out_of_range"}


def ms_faults(value: Any) -> set[str]:
    if not isinstance(value, str) or not WHOLE.fullmatch(value):
        return {"missing_field"} if value is Absent else {"not_a_number"}
    ends = [int(end.timestamp()) * 1000 for end in (FIRST, LAST)]
    return set() if ends[0] <= int(value) <= ends[1] else {"out_of_range"}


def count_faults(value: Any, *, may_be_less: bool = False) -> set[str]:
    """An id may be -1, where there was no trade yet; a count may not."""
    if value is Absent:
        return set()
    if not isinstance(value, str) or not WHOLE.fullmatch(value):
        return {"not_a_number"}
    return {"not_positive"} if int(value) < 0 and not may_be_less else set()


def _odd_arrays(row: Mapping[str, Any]) -> set[str]:
    given = [row[name] for name in KRAKEN_ARRAYS if name in row]
    found = {"not_a_number"} if any(not isinstance(one, list) for one in given) else set()
    if isinstance(row.get("t"), list) and len(row["t"]) == 1:
        found.add("missing_field")
    return found


def _number(venue: str, field: str, value: Any) -> set[str]:
    if field == "price":
        return {"missing_field"} if value is Absent else number_faults(value, may_be_zero=False)
    if value is Absent or (venue == "coingecko" and value is None):
        return set()
    return number_faults(value, may_be_zero=True)


def _is_crossed(venue: str, row: Any) -> bool:
    sides = [at(row, NUMBERS[venue].get(side, ("none",))) for side in ("bid", "ask")]
    if any(number_faults(side, may_be_zero=False) for side in sides):
        return False
    return Decimal(sides[0]) > Decimal(sides[1])


def _time(venue: str, row: Any) -> set[str]:
    if venue == "kraken":
        return set()
    value = at(row, (TIMES[venue],))
    if venue == "binance":
        return ms_faults(value)
    if venue == "coingecko" and (value is Absent or value is None):
        return set()
    if value is Absent:
        return {"missing_field"}
    try:
        moment = event_at(venue, row)
    except (TypeError, ValueError, OverflowError):
        return {"bad_time", "out_of_range"}
    if moment is None or datetime.fromisoformat(value).tzinfo is None or not value.isascii():
        return {"bad_time"}
    return set() if FIRST <= moment <= LAST else {"out_of_range"}
