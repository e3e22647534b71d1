"""What both engines are given and must give back: the tables of the comparison, as data.

It is imported where memory is measured, so it knows neither Spark nor Polars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

MOMENT = pa.timestamp("us", tz="UTC")
PRICE = pa.decimal128(38, 18)
# The minute that volatility is asked of; its 24 hours lie on two dates.
NEWEST = datetime(2026, 11, 23, 10, 5, tzinfo=UTC)
TOLERANCE = 1e-9
APP = "engines/result"

TICKS = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "source", "symbol")),
        *((name, MOMENT) for name in ("poll_at", "observed_at")),
        *((name, PRICE) for name in ("price", "bid", "ask", "volume_24h")),
        ("content_hash", pa.string()),
        *((name, pa.int64()) for name in ("offset", "batch")),
        ("date", pa.date32()),
    ]
)
CANDLES = pa.schema(
    [
        *((name, pa.string()) for name in ("source", "symbol")),
        ("minute_at", MOMENT),
        *((name, PRICE) for name in ("open", "high", "low", "close")),
        ("origin", pa.string()),
        ("date", pa.date32()),
    ]
)
LAST = pa.schema(
    [
        *((name, pa.string()) for name in ("source", "symbol")),
        ("minute_at", MOMENT),
        ("close", PRICE),
        *((name, MOMENT) for name in ("poll_at", "observed_at")),
        ("fact_id", pa.string()),
        ("offset", pa.int64()),
        ("date", pa.date32()),
    ]
)
MEASURES = (
    "return_1m", "return_5m", "return_1h", "return_24h", "variance_5m", "variance_15m",
    "variance_60m", "variance_24h", "volatility_5m", "volatility_1h", "volatility_24h", "ewma",
    "parkinson_1h", "garman_klass_1h", "atr_14", "bollinger_middle", "bollinger_upper",
    "bollinger_lower", "bollinger_width", "z_score",
)  # fmt: skip
VOLATILITY = pa.schema(
    [
        *((name, pa.string()) for name in ("source", "symbol")),
        ("minute", pa.int64()),
        *((name, pa.float64()) for name in MEASURES),
        ("returns_24h", pa.int32()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One piece of the pipeline's work: what it reads, and the table that it adds rows to.

    `share` is about the part of the rows read that it writes.
    """

    name: str
    source: str
    result: pa.Schema
    partition_by: tuple[str, ...]
    share: float

    def create(self, target: Path) -> None:
        """The empty table that the result is appended to, the same for both engines."""
        options = {"delta.checkpointInterval": "50"}
        DeltaTable.create(
            str(target),
            schema=self.result,
            partition_by=list(self.partition_by),
            configuration=options,
        )


TASKS = (
    Task(name="append", source="batch", result=TICKS, partition_by=("date",), share=1.0),
    Task(name="last of a minute", source="ticks", result=LAST, partition_by=("date",), share=0.3),
    Task(
        name="volatility", source="candles", result=VOLATILITY, partition_by=(), share=1 / 1_441
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A table in numbers that two engines must agree on: its rows, and a sum of each column."""

    rows: int
    sums: Mapping[str, float]


def differences(one: Told, other: Told) -> list[str]:
    """What two tables do not agree on, in words; whole numbers exactly, others to TOLERANCE."""
    found = [] if one.rows == other.rows else [f"rows: {one.rows} and {other.rows}"]
    for name in sorted({*one.sums, *other.sums}):
        a, b = one.sums.get(name), other.sums.get(name)
        if a is None or b is None or not _agree(a, b):
            found.append(f"{name}: {a} and {b}")
    return found


def _agree(a: float, b: float) -> bool:
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    return abs(a - b) <= TOLERANCE * max(abs(a), abs(b))
