"""What the ledger's rows leave open, and when it may be asked for again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crypto_pipeline.backfill.ledger import due_days, due_stretches, open_minutes
from crypto_pipeline.backfill.stretch import MINUTE, Stretch

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
NOW = AT + timedelta(hours=1)
SOURCE = "simulator:binance:7"


def row(symbol: str, start: int, end: int, batch: int, **changes: Any) -> dict[str, Any]:
    return {
        "source": SOURCE,
        "symbol": symbol,
        "from_at": AT + MINUTE * start,
        "to_at": AT + MINUTE * end,
        "state": "open",
        "tries": 0,
        "decided_at": NOW,
        "batch": batch,
        **changes,
    }


def stretches(rows: list[dict[str, Any]], now: datetime = NOW) -> list[Stretch]:
    return due_stretches(open_minutes(rows), source=SOURCE, now=now)


def test_the_middle_that_was_repaired_is_not_asked_for() -> None:
    rows = [row("BTC-USDT", 0, 10, 1), row("BTC-USDT", 4, 6, 2, state="repaired")]
    assert stretches(rows) == [
        Stretch(symbols=("BTC-USDT",), start=AT, end=AT + 4 * MINUTE),
        Stretch(symbols=("BTC-USDT",), start=AT + 6 * MINUTE, end=AT + 10 * MINUTE),
    ]


def test_symbols_that_miss_the_same_minutes_are_asked_for_together() -> None:
    rows = [row("ETH-USDT", 0, 10, 1), row("BTC-USDT", 0, 10, 1), row("SOL-USDT", 3, 4, 1)]
    assert [one.symbols for one in stretches(rows)] == [("BTC-USDT", "ETH-USDT"), ("SOL-USDT",)]


def test_what_was_answered_without_the_candle_waits_longer_each_time() -> None:
    for tries, minutes in ((0, 0), (1, 10), (2, 60)):
        rows = [row("BTC-USDT", 0, 1, 1, tries=tries)]
        due = NOW + MINUTE * minutes
        assert stretches(rows, due) != []
        assert tries == 0 or stretches(rows, due - timedelta(seconds=1)) == []


def test_what_was_given_up_and_what_another_source_owes_is_left_alone() -> None:
    rows = [row("BTC-USDT", 0, 1, 1, state="given_up"), row("ETH-USDT", 0, 1, 1, source="kraken")]
    assert stretches(rows) == []
    assert due_days(open_minutes(rows), sources=[SOURCE], now=NOW) == []
    assert due_days(open_minutes(rows), sources=["kraken"], now=NOW) == [date(2026, 11, 23)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["BTC-USDT", "ETH-USDT"]),
            st.integers(0, 20),
            st.integers(1, 8),
            st.sampled_from(["open", "repaired", "given_up"]),
        ),
        max_size=12,
    )
)
def test_the_newest_word_about_each_minute_holds(
    events: list[tuple[str, int, int, str]],
) -> None:
    rows, model = [], {}
    for batch, (symbol, start, length, state) in enumerate(events):
        rows.append(row(symbol, start, start + length, batch, state=state))
        model |= {(symbol, start + n): state for n in range(length)}
    asked = [
        (symbol, (one.start - AT) // MINUTE + n)
        for one in stretches(list(reversed(rows)))
        for symbol in one.symbols
        for n in range((one.end - one.start) // MINUTE)
    ]
    assert sorted(asked) == sorted(key for key, state in model.items() if state == "open")
