"""Rows of raw, bronze and silver over some minutes: the same facts, a layer further each time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from crypto_pipeline.bronze import schema as bronze
from crypto_pipeline.contract import topic
from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.silver import schema as silver
from crypto_pipeline.stages import RAW
from crypto_pipeline_tests.builders import MINUTE
from crypto_pipeline_tests.fabricated.columns import decimals, instants, micros, table_of
from crypto_pipeline_tests.fabricated.history import BROKER, History
from crypto_pipeline_tests.fabricated.market import (
    CANDLE_NUMBERS,
    OBSERVED,
    TICK_NUMBERS,
    Facts,
    Numbers,
)

Columns = dict[str, Any]
MICRO = timedelta(microseconds=1)
# What bronze hashes of each kind, as text of decimal(38,18); `~` stands for null.
TICK_HASHED = (*TICK_NUMBERS, "market_cap", "trades_24h", "mark", "event_at")
CANDLE_HASHED = ("open", "high", "low", "close", "volume")
PLAIN = ("market", "source", "venue", "endpoint")


@dataclass(frozen=True)
class Chunk:
    """Minutes [first, until) of a history; what several tables need is computed once."""

    history: History
    first: int
    until: int

    @cached_property
    def facts(self) -> list[Facts]:
        return list(self.history.market.minutes(self.first, self.until))

    @property
    def coins(self) -> int:
        return self.history.market.count

    @property
    def numbers(self) -> Numbers:
        return np.arange(self.first, self.until)

    def per_coin(self, values: Numbers) -> Numbers:
        """A value a minute as one a minute and coin."""
        return np.repeat(values, self.coins)

    def polled(self) -> Numbers:
        """Microseconds of each minute's poll."""
        return micros(self.history.market.begin) + self.numbers * (MINUTE // MICRO)

    @cached_property
    def ticks(self) -> Columns:
        """What bronze and silver have of a tick in common."""
        ticks = [tick for minute in self.facts for tick in minute.ticks]
        values = self.history.market.ticks(self.first, self.until)
        polled = self.per_coin(self.polled())
        return {
            **self._identity(ticks),
            **{name: decimals(values[name]) for name in TICK_NUMBERS},
            "poll_at": instants(polled),
            "observed_at": instants(polled + OBSERVED // MICRO),
            "trades_24h": values["trades_24h"],
            "mark": [tick.mark for tick in ticks],
            "is_unchanged": False,
            "content_hash": [_hashed(tick, TICK_HASHED) for tick in ticks],
            "date": _days(polled),
            **self._coordinates(topic.TICKS.name),
        }

    @cached_property
    def candles(self) -> Columns:
        candles = [candle for minute in self.facts for candle in minute.candles]
        values = self.history.market.candles(self.first, self.until)
        opened = self.per_coin(self.polled()) - MINUTE // MICRO
        return {
            **self._identity(candles),
            **{name: decimals(values[name]) for name in CANDLE_NUMBERS},
            "open_at": instants(opened),
            "observed_at": instants(opened + (MINUTE + OBSERVED) // MICRO),
            "trades": values["trades"],
            "is_backfill": False,
            "content_hash": [_hashed(candle, CANDLE_HASHED) for candle in candles],
            "date": _days(opened),
            **self._coordinates(topic.CANDLES.name),
        }

    def _identity(self, facts: list[Tick] | list[Candle]) -> Columns:
        one = facts[0]
        return {
            **{name: getattr(one, name) for name in PLAIN},
            "id": [fact.id for fact in facts],
            "symbol": [fact.symbol for fact in facts],
            "record": [fact.record for fact in facts],
            "batch": self.per_coin(self.numbers),
        }

    def _coordinates(self, name: str) -> Columns:
        """Where the records of a topic lie: for each minute, its places in their order."""
        places = self.history.places[name]
        counts, ends = self.history.counts[name], self.history.ends.topics[name].partitions
        left = self.history.minutes - self.numbers[:, None]
        offsets = [
            ends[number].end - counts[number] * (left + 1) + place for number, place in places
        ]
        each = len(places)
        at = np.repeat(self.polled() + BROKER[name] // MICRO, each)
        return {
            "topic": name,
            "epoch": 0,
            "partition": np.tile([number for number, _ in places], len(self.numbers)),
            "offset": np.hstack(offsets),
            "broker_at": instants(at),
        }

    def raw(self, name: str) -> pa.Table:
        """Records of one topic, bytes as they were sent."""
        if name == topic.POLLS.name:
            sent: list[Any] = [minute.poll for minute in self.facts]
        else:
            of_topic = "ticks" if name == topic.TICKS.name else "candles"
            sent = [fact for minute in self.facts for fact in getattr(minute, of_topic)]
        each = len(sent) // len(self.numbers)
        planned = self.history.planned_at(RAW, 0) - self.history.market.begin
        columns = {
            **self._coordinates(name),
            "key": [fact.key for fact in sent],
            "value": [fact.encode() for fact in sent],
            "ingested_at": instants(np.repeat(self.polled() + planned // MICRO, each)),
            "date": _days(np.repeat(self.polled(), each)),
            "batch": np.repeat(self.numbers, each),
        }
        return table_of(RECORDS, columns, len(sent))

    def polls(self) -> pa.Table:
        records = [minute.poll for minute in self.facts]
        fields = {f.name for f in bronze.POLLS.schema.fields}
        payloads = [record.payload() for record in records]
        own = {name: [p[name] for p in payloads] for name in payloads[0] if name in fields}
        times = ("poll_at", "started_at", "ended_at")
        columns = {
            **own,
            **{name: [getattr(record, name) for record in records] for name in times},
            **self._coordinates(topic.POLLS.name),
            "date": _days(self.polled()),
            "batch": self.numbers,
        }
        return table_of(bronze.POLLS, columns, len(records))

    def of(self, key: str) -> pa.Table:
        """Rows of a table of bronze or silver."""
        rows = self.coins * len(self.numbers)
        match key:
            case bronze.POLLS.key:
                return self.polls()
            case bronze.TICKS.key:
                return table_of(bronze.TICKS, self.ticks, rows)
            case bronze.CANDLES.key:
                return table_of(bronze.CANDLES, self.candles, rows)
            case silver.TICKS.key:
                return table_of(silver.TICKS, {**self.ticks, "is_late": False}, rows)
            case silver.CANDLES.key:
                return table_of(silver.CANDLES, {**self.candles, "is_late": False}, rows)
        raise KeyError(key)


def _hashed(fact: Tick | Candle, names: tuple[str, ...]) -> str:
    values = (_text(getattr(fact, name), name) for name in names)
    return hashlib.sha256("|".join(values).encode()).hexdigest()


def _text(value: Any, name: str) -> str:
    if value is None:
        return "~"
    return str(value) if name in ("trades_24h", "mark") else f"{value:.18f}"


def _days(microseconds: Numbers) -> pa.Array:
    """The UTC date of each instant."""
    days = (microseconds // (24 * 3_600 * 1_000_000)).astype(np.int32)
    return pa.array(days, pa.int32()).cast(pa.date32())
