"""The ledger names every missing minute once, with its cause, and follows it to its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, seed, settings
from pyspark.sql import functions as F

from crypto_pipeline.bronze import schema as bronze
from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import PollRecord
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.silver import gaps
from crypto_pipeline.silver.schema import CANDLES, GAPS, TICKS
from crypto_pipeline.stage import conform
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.builders import (
    AT,
    BTC,
    ETH,
    MINUTE,
    Given,
    Row,
    candle,
    day_of,
    frame,
    poll,
    read,
    tick,
)
from crypto_pipeline_tests.silver.gap_days import EVERY_STATE, Batch, Model, days, spread

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from crypto_pipeline.lake.table import Table

pytestmark = pytest.mark.spark

SYMBOLS = (BTC, ETH)


def rows(facts: Sequence[PollRecord | Candle | Tick], table: Table, batch: int) -> list[Row]:
    """Facts as a table has them."""
    return [
        {
            **{name: plain(getattr(fact, name)) for name in table.columns if hasattr(fact, name)},
            "date": day_of(getattr(fact, table.fact_column)),
            "batch": batch,
        }
        for fact in facts
    ]


def plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


class Ledger:
    """Runs batch after batch and keeps what each one knew and said."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark
        self.polls: list[Row] = []
        self.candles: list[Row] = []
        self.ticks: list[Row] = []
        self.events: list[Row] = []
        self.newest: datetime | None = None
        self.number = 0

    def take(self, batch: Batch) -> list[Row]:
        """The rows that one batch adds, as read from the table."""
        self.number += 1
        new = rows(batch.polls, bronze.POLLS, self.number)
        candles, ticks = (
            rows(batch.candles, CANDLES, self.number),
            rows(batch.ticks, TICKS, self.number),
        )
        self.polls += new
        before = {} if self.newest is None else {bronze.POLLS: self.newest}
        made = Given(self.spark)(
            new={bronze.POLLS: new, bronze.CANDLES: [], bronze.TICKS: []},
            known={
                bronze.POLLS: self.polls,
                CANDLES: self.candles,
                TICKS: self.ticks,
                GAPS: self.events,
            },
            batch=self.number,
            before=before,
        )
        facts = [*(p.poll_at for p in batch.polls), *(c.open_at for c in batch.candles)]
        frames = replace(made, span=(min(facts), max(facts)))
        changed = gaps.changes(
            frames,
            ticks=frame(self.spark, TICKS, ticks),
            candles=frame(self.spark, CANDLES, candles),
        )
        found = conform(changed, GAPS, batch=self.number)
        self.candles, self.ticks = self.candles + candles, self.ticks + ticks
        self.newest = max([p.poll_at for p in batch.polls] + [self.newest or facts[0]])
        said = read(found, order=["symbol", "from_at"])
        self.events += [
            {**row, **{n: datetime.fromisoformat(row[n]) for n in ("from_at", "to_at")}}
            | {"decided_at": None}
            for row in said
        ]
        return said


def minute(number: int, *, asked: Sequence[str] = SYMBOLS, **changes: object) -> PollRecord:
    values = {"candles_due": tuple(asked), "candles": len(asked), **changes}
    return poll(poll_at=AT + MINUTE * number, symbols_asked=tuple(asked), **values)


def served(number: int, *symbols: str) -> list[Candle]:
    """The candles that a minute's poll brings."""
    names = symbols or SYMBOLS
    return [candle(symbol=s, open_at=AT + MINUTE * (number - 1)) for s in names]


def brief(said: Sequence[Row]) -> list[tuple[object, ...]]:
    """Symbol, first and last minute after `AT`, cause, state, tries."""
    return [
        (
            row["symbol"],
            *((datetime.fromisoformat(row[n]) - AT) // MINUTE for n in ("from_at", "to_at")),
            *(row["cause"], row["state"], row["tries"]),
        )
        for row in said
    ]


def test_a_minute_that_came_is_no_gap(spark: SparkSession) -> None:
    ledger = Ledger(spark)
    for number in range(3):
        assert ledger.take(Batch(polls=(minute(number),), candles=tuple(served(number)))) == []


def test_ten_minutes_without_a_poll_are_named_and_filled(spark: SparkSession) -> None:
    ledger = Ledger(spark)
    ledger.take(Batch(polls=(minute(0),), candles=tuple(served(0))))
    said = ledger.take(Batch(polls=(minute(11),), candles=tuple(served(11))))
    assert brief(said) == [(s, 0, 10, "no_poll", "open", 0) for s in SYMBOLS]
    assert {row["minutes"] for row in said} == {10}
    fetched = [
        candle(symbol=s, open_at=AT + MINUTE * n, is_backfill=True)
        for s in SYMBOLS
        for n in range(10)
    ]
    repair = poll(poll_at=AT, until_at=AT + 10 * MINUTE, purpose="repair", symbols_asked=SYMBOLS)
    said = ledger.take(Batch(polls=(repair,), candles=tuple(fetched)))
    assert brief(said) == [(s, 0, 10, "no_poll", "repaired", 0) for s in SYMBOLS]
    assert ledger.take(Batch(polls=(minute(12),), candles=tuple(served(12)))) == []


def test_a_changed_watch_list_is_no_gap(spark: SparkSession) -> None:
    ledger = Ledger(spark)
    ledger.take(Batch(polls=(minute(0, asked=[BTC]),), candles=tuple(served(0, BTC))))
    ledger.take(Batch(polls=(minute(1, asked=[ETH]),), candles=tuple(served(1, ETH))))
    said = ledger.take(
        Batch(polls=(minute(6, asked=[BTC, ETH]),), candles=tuple(served(6, BTC, ETH)))
    )
    assert brief(said) == [(ETH, 1, 5, "no_poll", "open", 0)]


@pytest.mark.parametrize(
    ("record", "came", "cause"),
    [
        ({"outcome": "transient", "candles": 0}, [], "source_down"),
        ({"outcome": "told_to_wait", "candles": 0}, [], "source_down"),
        (
            {"outcome": "partial", "candles": 1, "candles_missed": (ETH,)},
            served(1, BTC),
            "source_down",
        ),
        ({"candles": 2}, served(1, BTC), "served_never_received"),
        ({"candles": 1}, served(1, BTC), "halted"),
    ],
)
def test_the_poll_says_why_a_minute_is_missing(
    spark: SparkSession, record: Row, came: list[Candle], cause: str
) -> None:
    ledger = Ledger(spark)
    ledger.take(Batch(polls=(minute(1, **record),), candles=tuple(came)))
    said = ledger.take(Batch(polls=(minute(2),), candles=tuple(served(2))))
    gone = [ETH] if came else SYMBOLS
    assert brief(said) == [(s, 0, 1, cause, "open", 0) for s in gone]


def test_a_minute_without_a_trade_is_no_gap_where_the_venue_makes_no_candle_of_it(
    spark: SparkSession,
) -> None:
    ledger = Ledger(spark)
    quiet = minute(1, candles=1, venue="kraken")
    ticks = tuple(tick(symbol=s, poll_at=AT + MINUTE) for s in SYMBOLS)
    ledger.take(Batch(polls=(quiet,), candles=tuple(served(1, BTC)), ticks=ticks))
    assert ledger.take(Batch(polls=(minute(2),), candles=tuple(served(2)))) == []


def test_what_a_venue_does_not_give_is_no_gap(spark: SparkSession) -> None:
    ledger = Ledger(spark)
    for number in (0, 5):
        bare = minute(number, candles_due=(), candles=0)
        assert ledger.take(Batch(polls=(bare,))) == []


def test_a_candle_that_comes_a_batch_after_its_poll_opens_nothing(spark: SparkSession) -> None:
    ledger = Ledger(spark)
    ledger.take(Batch(polls=(minute(0),)))
    both = (*served(0), *served(1))
    assert ledger.take(Batch(polls=(minute(1),), candles=both)) == []


def test_a_halt_is_given_up_after_three_answers_and_not_after_failures(spark: SparkSession) -> None:
    ledger = Ledger(spark)
    ledger.take(Batch(polls=(minute(0),), candles=tuple(served(0))))
    ledger.take(Batch(polls=(minute(4),), candles=tuple(served(4))))
    repair = {"poll_at": AT, "until_at": AT + 3 * MINUTE, "purpose": "repair"}
    failed = poll(**repair, symbols_asked=(BTC,), outcome="permanent")
    missed = poll(**repair, symbols_asked=(BTC,), outcome="partial", candles_missed=(BTC,))
    assert ledger.take(Batch(polls=(failed, missed))) == []
    answered = poll(**repair, symbols_asked=(BTC,), outcome="ok")
    states = [brief(ledger.take(Batch(polls=(answered,)))) for _ in range(4)]
    assert states == [
        [(BTC, 0, 3, "no_poll", "open", 1)],
        [(BTC, 0, 3, "no_poll", "open", 2)],
        [(BTC, 0, 3, "halted", "given_up", 3)],
        [],
    ]
    late = candle(symbol=BTC, open_at=AT + MINUTE, is_backfill=True)
    assert brief(ledger.take(Batch(candles=(late,)))) == [(BTC, 1, 2, "halted", "repaired", 3)]


def test_an_answer_counts_for_every_row_of_the_interval_that_it_is_about(
    spark: SparkSession,
) -> None:
    """Minutes that were judged one by one are asked for together; the record has the first's
    instant, and is often alone in its batch."""
    ledger = Ledger(spark)
    for number in range(5):
        bare = minute(number, asked=[BTC], candles=0, outcome="transient")
        ledger.take(Batch(polls=(bare,)))
    answered = poll(
        poll_at=AT - MINUTE, until_at=AT + 3 * MINUTE, purpose="repair", symbols_asked=(BTC,)
    )
    said = brief(ledger.take(Batch(polls=(answered,))))
    assert said == [(BTC, -1, 3, "source_down", "open", 1)]


def test_a_poll_record_that_was_sent_twice_is_judged_once(spark: SparkSession) -> None:
    ledger = Ledger(spark)
    ledger.take(Batch(polls=(minute(0), minute(0)), candles=tuple(served(0))))
    first = ledger.take(Batch(polls=(minute(3), minute(3)), candles=tuple(served(3))))
    assert brief(first) == [(s, 0, 2, "no_poll", "open", 0) for s in SYMBOLS]
    assert ledger.take(Batch(polls=(minute(0), minute(4)), candles=tuple(served(4)))) == []


def test_an_interval_ends_with_its_day(spark: SparkSession) -> None:
    ledger = Ledger(spark)
    to_midnight = AT.replace(hour=0, minute=0) + timedelta(days=1) - AT
    last = to_midnight // MINUTE
    ledger.take(Batch(polls=(minute(last - 2, asked=[BTC]),), candles=tuple(served(last - 2, BTC))))
    said = ledger.take(
        Batch(polls=(minute(last + 3, asked=[BTC]),), candles=tuple(served(last + 3, BTC)))
    )
    assert [row[1:3] for row in brief(said)] == [(last - 2, last), (last, last + 2)]


@pytest.mark.prove
@pytest.mark.parametrize("venue", ["binance", "kraken"])
def test_a_random_day_is_what_the_plain_model_says(spark: SparkSession, venue: str) -> None:
    """At full count days of every cause and every state are among them."""
    claim = proof.begin(f"gap-days-{venue}", reduced=3, full=200)
    met: Counter[tuple[str, str]] = Counter()

    @seed(claim.seed)
    @settings(
        max_examples=claim.count,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(day=days(venue=venue))
    def holds(day: list[Batch]) -> None:
        ledger, model = Ledger(spark), Model()
        for batch in day:
            said = ledger.take(batch)
            changed = model.take(batch)
            assert spread(said) == changed
            met.update((cause, state) for cause, state, _ in changed.values())

    holds()
    if proof.is_full():
        assert met.keys() == EVERY_STATE
    claim.record(minutes={f"{cause} {state}": n for (cause, state), n in sorted(met.items())})


def test_a_batch_of_nothing_adds_no_row_to_the_ledger(spark: SparkSession) -> None:
    given_ = Given(spark)(new={bronze.POLLS: [], bronze.CANDLES: [], bronze.TICKS: []})
    changed = gaps.changes(given_, ticks=frame(spark, TICKS, []), candles=frame(spark, CANDLES, []))
    assert changed.select(F.count("*")).collect()[0][0] == 0
