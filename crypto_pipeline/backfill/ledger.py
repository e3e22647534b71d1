"""Rows of `silver/gaps` → the stretches that are worth asking the venue for now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from crypto_pipeline.backfill.stretch import MINUTE, Stretch

# After so many answers without the candle, the next question waits: a venue may be late itself.
PAUSES = (timedelta(0), timedelta(minutes=10), timedelta(hours=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """One minute without a candle, as the ledger's newest row about it says."""

    source: str
    symbol: str
    minute_at: datetime
    due_at: datetime


def open_minutes(rows: Iterable[Mapping[str, Any]]) -> list[Missing]:
    """The minutes that are still open; of two rows about a minute the later batch holds."""
    state: dict[tuple[str, str, datetime], Mapping[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["batch"]):
        for number in range(int((row["to_at"] - row["from_at"]) / MINUTE)):
            state[row["source"], row["symbol"], row["from_at"] + MINUTE * number] = row
    return [
        Missing(
            source=source,
            symbol=symbol,
            minute_at=minute_at,
            due_at=row["decided_at"] + PAUSES[min(row["tries"], len(PAUSES) - 1)],
        )
        for (source, symbol, minute_at), row in state.items()
        if row["state"] == "open"
    ]


def due_stretches(missing: Iterable[Missing], *, source: str, now: datetime) -> list[Stretch]:
    """What one source owes and may be asked for, oldest first; symbols that miss the same go
    together."""
    minutes = sorted(
        (one for one in missing if one.source == source and one.due_at <= now),
        key=lambda one: (one.symbol, one.minute_at),
    )
    symbols: dict[tuple[datetime, datetime], list[str]] = {}
    for symbol, own in groupby(minutes, key=lambda one: one.symbol):
        for start, end in _runs([one.minute_at for one in own]):
            symbols.setdefault((start, end), []).append(symbol)
    return [
        Stretch(symbols=tuple(names), start=start, end=end)
        for (start, end), names in sorted(symbols.items())
    ]


def due_days(missing: Iterable[Missing], *, sources: Sequence[str], now: datetime) -> list[date]:
    """The days on which one of the sources may be asked for something."""
    return sorted(
        {one.minute_at.date() for one in missing if one.source in sources and one.due_at <= now}
    )


def _runs(minutes: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
    """Neighbouring minutes of a sorted list as [start, end)."""
    runs: list[tuple[datetime, datetime]] = []
    for minute in minutes:
        if runs and runs[-1][1] == minute:
            runs[-1] = (runs[-1][0], minute + MINUTE)
        else:
            runs.append((minute, minute + MINUTE))
    return runs
