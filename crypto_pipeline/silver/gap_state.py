"""Rows of `silver/gaps` → the intervals as they stand now, for whoever tells people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypedDict

MINUTE = timedelta(minutes=1)


class Interval(TypedDict):
    """Minutes in [from_at, to_at) of one symbol in one state."""

    from_at: datetime
    to_at: datetime
    cause: str
    state: str


def standing(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], list[Interval]]:
    """By (source, symbol), newest first; of two rows about a minute the later batch holds."""
    minutes: dict[tuple[str, str], dict[datetime, tuple[str, str]]] = {}
    for row in sorted(rows, key=lambda row: row["batch"]):
        own = minutes.setdefault((row["source"], row["symbol"]), {})
        for number in range(int((row["to_at"] - row["from_at"]) / MINUTE)):
            own[row["from_at"] + MINUTE * number] = (row["cause"], row["state"])
    return {key: _joined(own)[::-1] for key, own in minutes.items()}


def _joined(minutes: Mapping[datetime, tuple[str, str]]) -> list[Interval]:
    """Neighbouring minutes with the same cause and state as one interval, oldest first."""
    found: list[Interval] = []
    for at, (cause, state) in sorted(minutes.items()):
        last = found[-1] if found else None
        if last and (last["to_at"], last["cause"], last["state"]) == (at, cause, state):
            last["to_at"] = at + MINUTE
        else:
            found.append(Interval(from_at=at, to_at=at + MINUTE, cause=cause, state=state))
    return found
