"""Every minute of the market has a candle or a row in the ledger of gaps, and why it must."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from crypto_pipeline.settings import Settings
from crypto_pipeline.silver.gap_state import standing
from crypto_pipeline.silver.gaps import EMPTY_MINUTES_SERVED
from crypto_pipeline.source.binance import native_name
from crypto_pipeline.source.clock import minute_of
from crypto_pipeline_tests.chaos.stack import Stack
from crypto_pipeline_tests.crash.balance import rows_of

MINUTE = timedelta(minutes=1)
# The place of the count of trades in a row of klines.
TRADES = 8
Key = tuple[str, datetime]


@dataclass(frozen=True, kw_only=True)
class Minutes:
    """`missing` are minutes that nothing explains; `states` counts minutes of the ledger."""

    missing: list[str]
    states: dict[str, int]
    served: dict[str, int]


def unexplained(stack: Stack) -> Minutes:
    """Minutes that had to be there, served or not, received or not, and that nothing explains.

    A minute is judged when a later poll has come, so the newest polls' minutes are left out; so
    is what is before the first poll, where a history that was fetched anew begins later.
    """
    lake = stack.direct
    candles = rows_in_utc(lake, "silver/candles", "symbol", "open_at")
    had = {(row["symbol"], row["open_at"]) for row in candles}
    columns = ("source", "symbol", "from_at", "to_at", "cause", "state", "batch")
    ledger = standing(rows_in_utc(lake, "silver/gaps", *columns))
    noted = {
        (symbol, one["from_at"] + MINUTE * number)
        for (_, symbol), intervals in ledger.items()
        for one in intervals
        for number in range(int((one["to_at"] - one["from_at"]) / MINUTE))
    }
    polls = sorted(
        {
            row["poll_at"]
            for row in rows_in_utc(lake, "bronze/polls", "poll_at", "purpose")
            if row["purpose"] == "minute"
        }
    )
    first, last = minute_of(polls[0]), polls[-1] - 2 * MINUTE
    count = int((last - first) / MINUTE)
    due = {(s, first + MINUTE * n) for s in stack.settings.symbols for n in range(count)}
    answers = list(answers_of(stack))
    silent = due & set(_quiet(lake)) - had - noted
    quiet = {key for key in silent if not _trades(stack, key)}
    missing = sorted(due - had - noted - quiet)
    return Minutes(
        missing=[f"{symbol} {at:%Y-%m-%dT%H:%MZ}" for symbol, at in missing],
        states=dict(_states(ledger)),
        served={
            "answers": len(answers),
            "answers not received": sum(not one["is_delivered"] for one in answers),
            "minutes due": len(due),
            "minutes taken for quiet": len(quiet),
            "minutes": len(polls),
        },
    )


def _trades(stack: Stack, key: Key) -> int:
    """How many trades the minute had, by the simulator's own word, which no fault touches."""
    symbol, at = key
    open_ms = int(at.timestamp() * 1000)
    query = f"symbol={native_name(symbol)}&interval=1m&startTime={open_ms}&endTime={open_ms}"
    address = f"http://127.0.0.1:{stack.behind['http']}/truth/klines?{query}"
    with urllib.request.urlopen(address, timeout=10) as answer:
        return sum(int(row[TRADES]) for row in json.load(answer))


def _quiet(lake: Settings) -> Iterator[Key]:
    """Minutes of which a tick came and, by the ledger's rule (docs/gaps.md), no candle had to.

    These venues serve none without a trade; whether there was one is another question.
    """
    for row in rows_in_utc(lake, "silver/ticks", "symbol", "poll_at", "venue"):
        if row["venue"] not in EMPTY_MINUTES_SERVED:
            yield row["symbol"], row["poll_at"] - MINUTE


def rows_in_utc(lake: Settings, key: str, *columns: str) -> list[dict[str, Any]]:
    return [
        {
            name: value.astimezone(UTC) if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in rows_of(lake, key, *columns)
    ]


def _states(ledger: dict[Any, Any]) -> Counter[str]:
    found: Counter[str] = Counter()
    for intervals in ledger.values():
        for one in intervals:
            minutes = int((one["to_at"] - one["from_at"]) / MINUTE)
            found[one["state"]] += minutes
            found[f"of {one['cause']}"] += minutes
    return found


def answers_of(stack: Stack) -> Iterator[dict[str, Any]]:
    """What the wire wrote down of the market's answers to questions about the market."""
    if not stack.answers.exists():
        return
    for line in stack.answers.read_text().splitlines():
        answer = json.loads(line)
        if "/api/v3/" in answer["request"] or "/kraken/" in answer["request"]:
            yield answer
