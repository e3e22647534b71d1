"""What the lake must hold, computed in plain Python from the order in which records were sent.

One list a topic, one position a stage. Nothing here knows Spark, Delta or the package's own
transforms: a rule is written down a second time, and the two must agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import PollRecord
from crypto_pipeline.contract.tick import Tick

Sent = Tick | Candle | PollRecord | bytes
Minute = tuple[str, datetime]
TOO_LATE = timedelta(hours=24)
STAGES = ("raw", "bronze", "silver", "candles")


@dataclass
class Silver:
    """Facts that were accepted, by id, and why the others were not."""

    ticks: dict[str, Tick] = field(default_factory=dict)
    candles: dict[str, Candle] = field(default_factory=dict)
    aside: Counter[str] = field(default_factory=Counter)

    def take(self, batch: list[Sent]) -> list[Tick | Candle]:
        """One batch in its order of arrival; the facts that it adds."""
        before_ticks = newest(self.ticks.values())
        before_candles = newest(self.candles.values())
        added: list[Tick | Candle] = []
        seen: dict[str, Tick | Candle] = {}
        for fact in batch:
            if isinstance(fact, Tick):
                known, limit = self.ticks.get(fact.id), before_ticks.get(fact.symbol)
            elif isinstance(fact, Candle):
                known, limit = self.candles.get(fact.id), before_candles.get(fact.symbol)
            else:
                continue
            first = known or seen.get(fact.id)
            seen.setdefault(fact.id, fact)
            if first is not None:
                self.aside["duplicate" if same(first, fact) else "conflict"] += 1
            elif limit is not None and at(fact) < limit - TOO_LATE:
                self.aside["too_late"] += 1
            else:
                added.append(fact)
        self.ticks |= {fact.id: fact for fact in added if isinstance(fact, Tick)}
        self.candles |= {fact.id: fact for fact in added if isinstance(fact, Candle)}
        return added


def newest(facts: Iterable[Tick | Candle]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for fact in facts:
        found[fact.symbol] = max(at(fact), found.get(fact.symbol, at(fact)))
    return found


def at(fact: Tick | Candle) -> datetime:
    return fact.poll_at if isinstance(fact, Tick) else fact.open_at


def same(one: Tick | Candle, other: Tick | Candle) -> bool:
    """Equal ids: a candle's id holds its values, a tick's only its instant."""
    return isinstance(one, Candle) or (isinstance(other, Tick) and one.price == other.price)


@dataclass
class Reference:
    """The whole lake up to gold's candles; `positions` count batches of the stage before."""

    topic: list[Sent] = field(default_factory=list)
    raw: list[list[Sent]] = field(default_factory=list)
    bronze: list[list[Sent]] = field(default_factory=list)
    silver: Silver = field(default_factory=Silver)
    silver_batches: list[list[Tick | Candle]] = field(default_factory=list)
    gold_facts: list[Tick | Candle] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES, 0))
    # A range that a dead attempt has committed to one table: the next attempt takes just it.
    pinned: dict[str, int] = field(default_factory=dict)

    def send(self, *facts: Sent) -> None:
        self.topic += facts

    def waits(self, stage: str) -> int:
        """Where the stage's next range ends; equal to where it stands when nothing is new."""
        if stage in self.pinned:
            return self.pinned[stage]
        before = {
            "raw": self.topic,
            "bronze": self.raw,
            "silver": self.bronze,
            "candles": self.silver_batches,
        }[stage]
        return len(before)

    def commit(self, stage: str) -> int:
        """The stage's next range is done; how many records or rows it read."""
        start, end = self.read[stage], self.waits(stage)
        self.pinned.pop(stage, None)
        if end == start:
            return 0
        self.read[stage] = end
        if stage == "raw":
            self.raw.append(self.topic[start:end])
            return end - start
        if stage == "candles":
            facts = [fact for batch in self.silver_batches[start:end] for fact in batch]
            self.gold_facts += facts
            return len(facts)
        source = self.raw if stage == "bronze" else self.bronze
        records = [record for batch in source[start:end] for record in batch]
        if stage == "bronze":
            self.bronze.append([r for r in records if not isinstance(r, bytes)])
            return len(records)
        self.silver_batches.append(self.silver.take(records))
        return len(records)

    def pin(self, stage: str) -> None:
        """An attempt has committed one table of the range and died."""
        self.pinned[stage] = self.waits(stage)

    def bronze_rows(self) -> Counter[str]:
        names = {Tick: "ticks", Candle: "candles", PollRecord: "polls", bytes: "rejected"}
        done = [r for batch in self.raw[: self.read["bronze"]] for r in batch]
        return Counter(names[type(record)] for record in done)

    def gold(self) -> dict[Minute, tuple[str, object]]:
        """Origin and close of every minute: a candle wins over a tick, the newest seen over older,
        the smaller id between two that were seen at once.
        """
        best: dict[Minute, tuple[str, object]] = {}
        facts = [f for f in self.gold_facts if isinstance(f, Candle)]
        for fact in sorted(facts, key=lambda f: (-f.observed_at.timestamp(), f.id), reverse=True):
            best[fact.symbol, fact.open_at] = ("exchange", fact.close)
        for fact in self.gold_facts:
            if isinstance(fact, Tick):
                minute = fact.poll_at - timedelta(minutes=1)
                best.setdefault((fact.symbol, minute), ("sampled", fact.price))
        return best
