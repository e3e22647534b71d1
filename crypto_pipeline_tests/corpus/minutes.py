"""A second, plain reading of candle rows; see `reading`."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from crypto_pipeline_tests.corpus.reading import (
    EPOCH,
    WHOLE,
    Absent,
    count_faults,
    ms_faults,
    number_faults,
)

# Field of a candle to its place in the row.
PLACES = {
    "binance": {
        "open": 1,
        "high": 2,
        "low": 3,
        "close": 4,
        "volume": 5,
        "quote_volume": 7,
        "trades": 8,
    },
    "kraken": {"open": 1, "high": 2, "low": 3, "close": 4, "volume": 6, "trades": 7},
    "coinbase": {"open": 3, "high": 2, "low": 1, "close": 4, "volume": 5},
}
CLOSE_TIME = 6
SIDES = ("open", "high", "low", "close")
IN_MS = "binance"


def fields(venue: str, row: list[Any]) -> dict[str, Any]:
    """The fields that the row is long enough for."""
    return {name: row[n] for name, n in PLACES[venue].items() if n < len(row)}


def open_at(venue: str, row: list[Any]) -> datetime:
    return EPOCH + timedelta(milliseconds=int(row[0]) * (1 if venue == IN_MS else 1000))


def close_at(venue: str, row: list[Any]) -> datetime | None:
    return EPOCH + timedelta(milliseconds=int(row[CLOSE_TIME])) if venue == IN_MS else None


def faults(venue: str, row: Any) -> set[str]:
    """The reasons for which this row may be rejected; empty when it must be a candle."""
    if not isinstance(row, list):
        return {"not_a_row"}
    given = fields(venue, row)
    found = _open_time(venue, row)
    if not {*SIDES, "volume"} <= set(given):
        found.add("missing_field")
    for name in set(given) & {*SIDES, "volume", "quote_volume"}:
        found |= number_faults(given[name], may_be_zero=name not in SIDES)
    found |= count_faults(given.get("trades", Absent))
    if venue == IN_MS:
        found |= ms_faults(row[CLOSE_TIME] if len(row) > CLOSE_TIME else Absent)
    if set(SIDES) <= set(given) and all(
        not number_faults(given[side], may_be_zero=False) for side in SIDES
    ):
        first, high, low, last = (Decimal(given[side]) for side in SIDES)
        if not low <= min(first, last) <= max(first, last) <= high:
            found.add("torn")
    return found


def _open_time(venue: str, row: list[Any]) -> set[str]:
    if not row:
        return {"missing_field"}
    if not isinstance(row[0], str) or not WHOLE.fullmatch(row[0]):
        return {"not_a_number"}
    if venue == IN_MS:
        found = ms_faults(row[0])
    elif len(row[0]) > 15:
        return {"not_a_number", "out_of_range"}
    else:
        found = ms_faults(f"{row[0]}000")
    if not found and open_at(venue, row).timestamp() % 60:
        found.add("not_a_minute")
    return found
