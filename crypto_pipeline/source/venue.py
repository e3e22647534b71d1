"""The venue seam: what every market API gives us, whatever its own words are.

A venue is data (addresses, limits, symbol rule), a fetch that returns text, and pure parse
functions that turn the text into contract values. Fetch raises the errors of
`crypto_pipeline.errors`; parse raises nothing: what it cannot use becomes `Rejected`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.message import MarketKind
from crypto_pipeline.contract.poll import Rejected
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.errors import MarketError, TransientMarketError

# Real seconds since the first page; a question that hangs takes as long (source/client.py).
PAGES_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where and when a body was received; the part of a fact that its body does not say."""

    market: MarketKind
    source: str
    venue: str
    poll_at: datetime
    observed_at: datetime
    endpoint: str

    def reject(self, reason: str, detail: str, body: str) -> Rejected:
        return Rejected(
            market=self.market,
            source=self.source,
            venue=self.venue,
            poll_at=self.poll_at,
            observed_at=self.observed_at,
            endpoint=self.endpoint,
            reason=reason,
            detail=detail,
            body=body,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A body as received, with the symbols that this one request asked for."""

    body: str
    endpoint: str
    budget_used: int | None
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A snapshot in as many bodies as the venue needs; `failures` are those it did not give.

    `unknown` are asked symbols that the venue does not list.
    """

    parts: tuple[Fetched, ...]
    unknown: tuple[str, ...] = ()
    failures: tuple[MarketError, ...] = ()


def gather(
    pages: Sequence[Callable[[], Fetched]],
) -> tuple[tuple[Fetched, ...], tuple[MarketError, ...]]:
    """Fetch the pages one by one; a page that fails costs only itself, all that fail raise.

    After one that failed late the rest are left: another venue may still have the minute.
    """
    started = time.monotonic()
    parts: list[Fetched] = []
    failures: list[MarketError] = []
    for number, page in enumerate(pages):
        if failures and time.monotonic() - started > PAGES_SECONDS:
            failures.append(too_late(f"{len(pages) - number} pages were"))
            break
        try:
            parts.append(page())
        except MarketError as error:
            failures.append(error)
    if failures and not parts:
        raise failures[0]
    return tuple(parts), tuple(failures)


def too_late(what: str) -> TransientMarketError:
    return TransientMarketError(f"{what} not asked for: the minute is too far gone.")


def oldest_candle(venue: Venue, *, now: datetime) -> datetime | None:
    """The first minute that the venue still serves at a market's `now`; None for any."""
    if venue.candle_reach is None:
        return None
    return now.replace(second=0, microsecond=0) - timedelta(minutes=venue.candle_reach)


class Venue(Protocol):
    """Symbols are `BASE-QUOTE`; a venue maps them to its own names and back."""

    @property
    def name(self) -> str: ...

    @property
    def candle_page(self) -> int:
        """The most minutes that one `fetch_candles` can return; 0 where there are no candles."""
        ...

    @property
    def candle_reach(self) -> int | None:
        """How many closed minutes back candles are served; None for all that there were."""
        ...

    def fetch_snapshot(self, symbols: Sequence[str] | None) -> Snapshot:
        """None asks for all that the venue trades; the parts then say what that was.

        Raises the MarketError when not one part could be had.
        """
        ...

    def fetch_candles(self, symbol: str, start: datetime, end: datetime) -> Fetched:
        """1-minute candles that open in [start, end)."""
        ...

    def parse_snapshot(
        self, body: str, *, origin: Origin, symbols: Sequence[str]
    ) -> tuple[list[Tick], list[Rejected]]:
        """One part: every row of the body becomes exactly one tick or one rejected row.

        `symbols` are those that the part asked for.
        """
        ...

    def parse_candles(
        self, body: str, *, origin: Origin, symbol: str, finished_by: datetime, is_backfill: bool
    ) -> tuple[list[Candle], list[Rejected]]:
        """A candle that has not closed by `finished_by` (venue time) is dropped, not rejected."""
        ...

    def server_time(self) -> datetime: ...

    def listed_symbols(self) -> frozenset[str]: ...
