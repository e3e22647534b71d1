"""Each row of Binance's ticker that was served and received is in bronze, or its poll says why not.

Bronze is followed further by the checker's layers. Of a whole venue there is no watch-list by which
a row that is missing could be told from one that was not asked for, so none is looked at.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from crypto_pipeline.contract.message import parse_time
from crypto_pipeline.settings import Settings
from crypto_pipeline.source.binance import TICKER, native_name
from crypto_pipeline.source.body import Element, elements
from crypto_pipeline.source.clock import instant_of, minute_of
from crypto_pipeline_tests.chaos.minutes import answers_of, rows_in_utc
from crypto_pipeline_tests.chaos.stack import Stack

BINANCE = "binance"
POLL = ("venue", "poll_at", "purpose", "outcome", "reason", "published", "unchanged", "rejected")


@dataclass(kw_only=True)
class Served:
    """Rows that the client was given: how many, how many of them bronze has, and what is lost."""

    received: int = 0
    kept: int = 0
    lost: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of an answer: its symbol, its own text, and the venue's time in it."""

    symbol: str
    text: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What bronze has: minutes by a row's text, ticks of any venue, and Binance's polls."""

    texts: dict[str, set[datetime]]
    ticks: set[tuple[str, datetime]]
    polls: dict[datetime, list[dict[str, Any]]]

    def owes(self, symbol: str, minute: datetime) -> bool:
        """Whether a poll of this minute came and lacks the symbol, and no record of one says so.

        A minute without a poll is one of the ledger (`minutes.unexplained`): its poll was killed
        between the answer and the disk. One that was polled again has the tick of another answer.
        """
        polls = self.polls.get(minute, [])
        if not polls or (symbol, minute) in self.ticks:
            return False
        return not any(excuses(poll, symbol) for poll in polls)


def excuses(poll: dict[str, Any], symbol: str) -> bool:
    """Whether a poll's own record says that it has not all that was served."""
    if poll["outcome"] == "ok":
        return False
    has_ticks = poll["published"] + poll["unchanged"] > 0
    is_short = poll["rejected"] > 0 or symbol in (poll["reason"] or "")
    return poll["outcome"] != "partial" or not has_ticks or is_short


def served(stack: Stack) -> Served:
    """Compare what the market's wire wrote down with bronze."""
    names = {native_name(symbol): symbol for symbol in stack.settings.symbols}
    kept, found = kept_in(stack.direct), Served()
    for answer in answers_of(stack):
        rows = list(_rows(answer, names)) if _is_ticker(answer) else []
        found.received += len(rows)
        missing = [row for row in rows if row.text not in kept.texts]
        found.kept += len(rows) - len(missing)
        for row in missing:
            minutes = _polled_at(rows, kept) or {minute_of(row.at)}
            if all(kept.owes(row.symbol, minute) for minute in minutes):
                found.lost.append(f"{row.symbol} served {row.at:%Y-%m-%dT%H:%M:%SZ}")
    return found


def kept_in(lake: Settings) -> Kept:
    texts: dict[str, set[datetime]] = defaultdict(set)
    ticks = set()
    for row in rows_in_utc(lake, "bronze/ticks", "symbol", "poll_at", "record"):
        texts[row["record"]].add(row["poll_at"])
        ticks.add((row["symbol"], row["poll_at"]))
    for row in rows_in_utc(lake, "bronze/rejected", "value"):
        for text, minute in _refused(row["value"]):
            texts[text].add(minute)
    polls: dict[datetime, list[dict[str, Any]]] = defaultdict(list)
    for row in rows_in_utc(lake, "bronze/polls", *POLL):
        if (row["venue"], row["purpose"]) == (BINANCE, "minute"):
            polls[row["poll_at"]].append(row)
    return Kept(texts=dict(texts), ticks=ticks, polls=dict(polls))


def _refused(value: bytes | None) -> Iterator[tuple[str, datetime]]:
    """The row in a message that bronze refused: of a poller, or of anybody."""
    with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        message = json.loads(value or b"")
        text = message.get("body", message.get("record"))
        minute = parse_time(message["poll_at"])
        if isinstance(text, str):
            yield text, minute


def _polled_at(rows: list[Row], kept: Kept) -> set[datetime]:
    """The minutes of the polls that took an answer, by those of its rows that are there."""
    minutes = set().union(*(kept.texts.get(row.text, set()) for row in rows))
    return minutes & kept.polls.keys()


def _is_ticker(answer: dict[str, Any]) -> bool:
    """Whether it answers the ticker's question, and got through whole."""
    path = answer["request"].split(" ")[1:2]
    is_asked = bool(path) and path[0].partition("?")[0] == TICKER
    return is_asked and answer["status"] == 200 and answer["is_delivered"]


def _rows(answer: dict[str, Any], names: dict[str, str]) -> Iterator[Row]:
    """Rows of the watch-list with the venue's time; a spoiled row may have neither."""
    for part in elements(answer["body"]):
        value = part.value if isinstance(part, Element) else None
        if not isinstance(value, dict):
            continue
        symbol, closed = value.get("symbol"), value.get("closeTime")
        if not isinstance(symbol, str) or symbol not in names or not is_time(closed):
            continue
        at = instant_of(int(closed), per_second=1000)
        if at is not None:
            yield Row(symbol=names[symbol], text=part.text, at=at)


def is_time(given: object) -> bool:
    """Milliseconds since 1970; numbers of a body stay text."""
    return isinstance(given, str) and given.isascii() and given.isdecimal() and len(given) < 20
