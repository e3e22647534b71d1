"""Which table gets how many rows of a minute, in which partitions, and what they are about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from crypto_pipeline.bronze import schema as bronze
from crypto_pipeline.contract import topic
from crypto_pipeline.gold import schema as gold
from crypto_pipeline.lake.table import Table
from crypto_pipeline.predictions.schema import FORECASTS
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.silver import schema as silver
from crypto_pipeline.stage import Stage
from crypto_pipeline.stages import STAGES
from crypto_pipeline_tests.builders import MINUTE
from crypto_pipeline_tests.fabricated.history import History
from crypto_pipeline_tests.fabricated.measured_rows import spoken_in

Values = tuple[tuple[str, str], ...]
# Nothing of a normal minute is rejected, set aside or missing: such a table is there, and empty.
EMPTY = (bronze.REJECTED, silver.SET_ASIDE, silver.GAPS)
# Of a minute's poll these tell; the others are about the minute that it closes.
OF_THE_POLL = (RECORDS, bronze.POLLS, bronze.TICKS, silver.TICKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one minute adds to one partition of the table; `topic` is empty but for raw."""

    topic: str
    rows: Callable[[int], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One table of one stage in a history."""

    history: History
    stage: Stage
    table: Table
    parts: tuple[Part, ...]

    def fact_at(self, number: int, topic_name: str) -> datetime:
        """The instant that the rows of one minute are about; of raw those of one topic."""
        if self.table == RECORDS:
            return self.history.broker_at(number, topic_name)
        at = self.history.market.poll_at(number)
        return at if self.table in OF_THE_POLL else at - MINUTE

    def date(self, number: int) -> date:
        """Of raw that of the broker, which has the records in the minute of the poll."""
        at = self.history.market.poll_at(number)
        return (at if self.table in OF_THE_POLL else at - MINUTE).date()

    def values(self, number: int, part: Part) -> Values:
        if not self.table.partition_by:
            return ()
        named = {"date": f"{self.date(number)}", "topic": part.topic}
        return tuple((name, named[name]) for name in self.table.partition_by)

    def rows_of(self, number: int) -> int:
        return sum(part.rows(number) for part in self.parts)

    def span(self, number: int) -> tuple[float, float] | tuple[None, None]:
        """As a commit says it: epoch seconds of the first and the last row."""
        if self.rows_of(number) == 0:
            return None, None
        first = self.fact_at(number, self.parts[0].topic)
        last = self.fact_at(number, self.parts[-1].topic)
        return first.timestamp(), last.timestamp()


def shapes(history: History) -> list[Shape]:
    """A shape for every table of every stage, in the order in which a cycle commits them."""
    return [
        Shape(history=history, stage=stage, table=table, parts=_parts(history, table))
        for stage in STAGES
        for table in stage.outputs
    ]


def _parts(history: History, table: Table) -> tuple[Part, ...]:
    coins = history.market.count
    if table in EMPTY:
        return ()
    if table == RECORDS:
        sizes = {topic.TICKS.name: coins, topic.CANDLES.name: coins, topic.POLLS.name: 1}
        return tuple(Part(topic=name, rows=_always(n)) for name, n in sizes.items())
    if table == bronze.POLLS:
        return (Part(topic="", rows=_always(1)),)
    if table == FORECASTS:
        return (Part(topic="", rows=lambda number: coins * spoken_in(number)),)
    return (Part(topic="", rows=_always(coins)),)


def _always(rows: int) -> Callable[[int], int]:
    return lambda _: rows


def is_replaced(table: Table) -> bool:
    """A table about now: each commit takes the place of the one before."""
    return table == gold.MARKET_SUMMARY
