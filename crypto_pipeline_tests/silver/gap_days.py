"""Random days of a poller, a venue and a ledger, and a plain model of what the ledger must say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import PollRecord
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline_tests.builders import BTC, ETH, MINUTE, SOURCE, candle, poll, tick

# Ten minutes before midnight, so that intervals meet the end of a day.
START = datetime(2026, 11, 23, 23, 50, tzinfo=UTC)
SYMBOLS = (BTC, ETH, "SOL-USDT")
TRIES = 3
CAUSES = ("no_poll", "source_down", "served_never_received", "halted")
# What a minute of the ledger may be; one that is given up is a halt, whatever it was before.
EVERY_STATE = {(cause, state) for cause in CAUSES for state in ("open", "repaired")} | {
    ("halted", "given_up")
}

Minute = tuple[str, datetime]
State = tuple[str, str, int]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one batch of silver is given: poll records, and candles and ticks that it accepts."""

    polls: tuple[PollRecord, ...] = ()
    candles: tuple[Candle, ...] = ()
    ticks: tuple[Tick, ...] = ()


@dataclass
class Model:
    """The state of every missing minute, kept in the plainest way."""

    states: dict[Minute, State] = field(default_factory=dict)
    have: set[Minute] = field(default_factory=set)
    ticked: set[Minute] = field(default_factory=set)
    polls: dict[datetime, PollRecord] = field(default_factory=dict)
    judged: set[datetime] = field(default_factory=set)

    def take(self, batch: Batch) -> dict[Minute, State]:
        """Give the minutes whose state the batch changes."""
        arrived = {(c.symbol, c.open_at) for c in batch.candles}
        before = dict(self.states)
        for key in arrived:
            if key in self.states and self.states[key][1] != "repaired":
                cause, _, tries = self.states[key]
                self.states[key] = (cause, "repaired", tries)
        for answered in {
            (symbol, at)
            for record in batch.polls
            if record.until_at is not None and record.outcome in ("ok", "partial")
            for symbol in set(record.symbols_asked) - set(record.candles_missed)
            for at in minutes(record.poll_at, record.until_at)
        }:
            if answered not in arrived and self.states.get(answered, ("", "", 0))[1] == "open":
                cause, _, tries = self.states[answered]
                end = tries + 1 >= TRIES
                self.states[answered] = (
                    "halted" if end else cause,
                    "given_up" if end else "open",
                    tries + 1,
                )
        self.have |= arrived
        self.ticked |= {(t.symbol, t.poll_at) for t in batch.ticks}
        self.polls |= {p.poll_at: p for p in batch.polls if p.purpose == "minute"}
        instants = sorted(self.polls)
        for at, after in pairwise(instants):
            if at not in self.judged:
                self.judged.add(at)
                self._judge(self.polls[at], self.polls[after])
        return {key: s for key, s in self.states.items() if before.get(key) != s}

    def _judge(self, record: PollRecord, after: PollRecord) -> None:
        minute = record.poll_at - MINUTE
        here = sum((symbol, minute) in self.have for symbol in record.candles_due)
        for symbol in record.candles_due:
            cause = self._cause(record, symbol, here)
            if (symbol, minute) not in self.have and cause:
                self.states[symbol, minute] = (cause, "open", 0)
        if not record.candles_due:
            return
        for symbol in set(record.symbols_asked) & set(after.symbols_asked):
            for at in minutes(record.poll_at, after.poll_at - MINUTE):
                if (symbol, at) not in self.have:
                    self.states[symbol, at] = ("no_poll", "open", 0)

    def _cause(self, record: PollRecord, symbol: str, here: int) -> str | None:
        if record.outcome not in ("ok", "partial") or symbol in record.candles_missed:
            return "source_down"
        if here < record.candles:
            return "served_never_received"
        is_quiet = (symbol, record.poll_at) in self.ticked and record.venue != "binance"
        return None if is_quiet else "halted"


def minutes(start: datetime, end: datetime) -> list[datetime]:
    return [start + MINUTE * n for n in range(max(0, (end - start) // MINUTE))]


def spread(rows: Iterable[dict[str, object]]) -> dict[Minute, State]:
    """Rows of the ledger minute by minute; a minute in two rows of one batch is a fault."""
    states: dict[Minute, State] = {}
    for row in rows:
        start, end = (datetime.fromisoformat(str(row[name])) for name in ("from_at", "to_at"))
        found = minutes(start, end)
        assert len(found) == row["minutes"]
        assert {at.date() for at in found} == {start.date()}
        for at in found:
            key = (str(row["symbol"]), at)
            assert key not in states, key
            states[key] = (str(row["cause"]), str(row["state"]), int(str(row["tries"])))
    return states


@st.composite
def days(draw: st.DrawFn, *, venue: str = "binance") -> list[Batch]:
    """Polls with pauses, failures, lost and late candles, a changing watch-list, and repairs.

    On some days all is asked for again: in each batch, and never there, or at the end, and there.
    """
    batches, late = [], []
    at = START
    kind = draw(st.sampled_from(["any", "any", "filled", "still"]))
    # Three answers without a candle give it up, and it must be in the ledger before.
    count = draw(st.integers(TRIES + 1 if kind == "still" else 2, 5))
    for left in reversed(range(count)):
        polls: list[PollRecord] = []
        candles, ticks = [*late], []
        late = []
        for _ in range(draw(st.integers(1, 3))):
            at += MINUTE * draw(st.sampled_from([1, 1, 1, 2, 5, 12]))
            asked = tuple(draw(st.sets(st.sampled_from(SYMBOLS), min_size=1)))
            outcome = draw(st.sampled_from(["ok", "ok", "partial", "transient"]))
            served = [s for s in asked if outcome != "transient" and draw(st.booleans())]
            missed = [s for s in asked if s not in served and draw(st.booleans())]
            made = {s: candle(symbol=s, open_at=at - MINUTE, venue=venue) for s in served}
            fate = {s: draw(st.sampled_from(["now", "now", "late", "never"])) for s in served}
            candles += [made[s] for s in served if fate[s] == "now"]
            late += [made[s] for s in served if fate[s] == "late"]
            ticks += [tick(symbol=s, poll_at=at, venue=venue) for s in asked if draw(st.booleans())]
            polls.append(
                poll(
                    poll_at=at, outcome=outcome, symbols_asked=asked, candles_due=asked,
                    candles_missed=tuple(missed) if outcome == "partial" else (),
                    candles=len(served), venue=venue, source=SOURCE,
                )
            )  # fmt: skip
        is_asked = draw(st.booleans()) if kind == "any" else kind == "still" or left == 0
        if is_asked:
            record, fetched = draw(repairs(at, venue)) if kind == "any" else whole(kind, at, venue)
            polls.append(record)
            new = {(c.symbol, c.open_at) for c in candles}
            candles += [c for c in fetched if (c.symbol, c.open_at) not in new]
        batches.append(Batch(polls=tuple(polls), candles=tuple(candles), ticks=tuple(ticks)))
    return batches


@st.composite
def repairs(draw: st.DrawFn, now: datetime, venue: str) -> tuple[PollRecord, list[Candle]]:
    """A fetch of some past minutes, which the venue answers in part or not at all."""
    # Nobody asks for candles of the future.
    start = min(START + MINUTE * draw(st.integers(0, 10)), now - MINUTE)
    end = min(start + MINUTE * draw(st.integers(1, 25)), now)
    asked = tuple(draw(st.sets(st.sampled_from(SYMBOLS), min_size=1)))
    outcome = draw(st.sampled_from(["ok", "partial", "permanent"]))
    missed = tuple(s for s in asked if outcome == "partial" and draw(st.booleans()))
    answered = [s for s in asked if outcome != "permanent" and s not in missed]
    fetched = [
        candle(symbol=s, open_at=at, venue=venue, is_backfill=True)
        for s in answered
        for at in minutes(start, end)
        if draw(st.booleans())
    ]
    said = {"outcome": outcome, "candles_missed": missed}
    return repair(start, end, now, asked=asked, candles=len(fetched), venue=venue, **said), fetched


def whole(kind: str, now: datetime, venue: str) -> tuple[PollRecord, list[Candle]]:
    """A fetch of all minutes so far, of which the venue has every candle (`filled`) or none."""
    fetched = [
        candle(symbol=s, open_at=at, venue=venue, is_backfill=True)
        for s in SYMBOLS
        for at in minutes(START, now)
        if kind == "filled"
    ]
    return repair(START, now, now, asked=SYMBOLS, candles=len(fetched), venue=venue), fetched


def repair(
    start: datetime, end: datetime, now: datetime, *, asked: tuple[str, ...], **said: Any
) -> PollRecord:
    return poll(
        poll_at=start, until_at=end, purpose="repair", symbols_asked=asked,
        started_at=now + timedelta(seconds=9), source=SOURCE, **said,
    )  # fmt: skip
