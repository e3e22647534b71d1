"""Rows for the comparison of engines: the same for the same size, made and written by chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import WriterProperties, write_deltalake
from pyarrow import parquet

from crypto_pipeline_tests.benchmarks.engine_tables import CANDLES, MOMENT, NEWEST, PRICE, TICKS

Numbers = npt.NDArray[np.int64]

SEED = 7
CHUNK = 500_000
SOURCE = "simulator:binance:7"
# Polled three times a minute, so that a minute has a last tick among others.
SYMBOLS = 360
SECONDS = 20
BEGIN = datetime(2026, 11, 23, tzinfo=UTC)
# One message in so many has come twice.
SENT_AGAIN = 20
# A day of returns needs one close more.
MINUTES = 1_441
SECOND = 1_000_000
DAY = 86_400 * SECOND
ZSTD = WriterProperties(compression="ZSTD")


def lay_down(folder: Path, rows: int) -> None:
    """The inputs of all tasks: `batch` is plain parquet, `ticks` and `candles` are Delta."""
    (folder / "batch").mkdir(parents=True)
    for number, chunk in enumerate(ticks(rows)):
        parquet.write_table(chunk, folder / "batch" / f"{number:05}.parquet", compression="zstd")
        add(folder / "ticks", chunk)
    for chunk in candles(rows):
        add(folder / "candles", chunk)


def add(table: Path, chunk: pa.Table) -> None:
    write_deltalake(table, chunk, mode="append", partition_by=["date"], writer_properties=ZSTD)


def ticks(rows: int, *, chunk: int = CHUNK) -> Iterator[pa.Table]:
    """So many messages; a copy differs from the first in nothing but its offset."""
    for number, first in enumerate(range(0, rows, chunk)):
        chance = np.random.default_rng([SEED, number])
        count = min(chunk, rows - first)
        copies = count // SENT_AGAIN
        facts = polled(chance, number * (chunk - chunk // SENT_AGAIN), count - copies)
        again = chance.integers(0, count - copies, copies)
        sent = facts.take(pa.array(np.concatenate([np.arange(count - copies), again])))
        offsets = pa.array(np.arange(first, first + count))
        yield sent.append_column("offset", offsets).select(TICKS.names).cast(TICKS)


def polled(chance: np.random.Generator, first: int, count: int) -> pa.Table:
    """The facts from number `first` on, poll after poll, each with all symbols."""
    number = np.arange(first, first + count)
    poll_at = microseconds(BEGIN) + number // SYMBOLS * (SECONDS * SECOND)
    columns = {
        "id": hashes(chance, count),
        "source": chosen(number * 0, [SOURCE]),
        "symbol": chosen(number % SYMBOLS, [f"C{n:03}-USDT" for n in range(SYMBOLS)]),
        "poll_at": moments(poll_at),
        "observed_at": moments(poll_at + chance.integers(0, 3 * SECOND, count)),
        "content_hash": hashes(chance, count),
        "batch": pa.array(number // SYMBOLS),
        "date": dates(poll_at),
    }
    for name in ("price", "bid", "ask", "volume_24h"):
        columns[name] = prices(chance.integers(10**4, 10**13, count))
    return pa.table(columns)


def symbols_of(rows: int) -> int:
    """Symbols whose day of candles is about so many rows."""
    return max(1, round(rows / MINUTES))


def candles(rows: int, *, chunk: int = CHUNK) -> Iterator[pa.Table]:
    """A day and a minute of candles, up to NEWEST, of as many symbols as make so many rows."""
    symbols, step = symbols_of(rows), max(1, chunk // MINUTES)
    for first in range(0, symbols, step):
        count = min(step, symbols - first)
        yield walked(np.random.default_rng([SEED, first, 1]), first, count)


def walked(chance: np.random.Generator, first: int, symbols: int) -> pa.Table:
    """Candles whose closes walk at random, minute by minute as the lake has them."""
    moves = chance.normal(0.0, 0.001, (MINUTES, symbols))
    close = 10 ** chance.uniform(0, 4.5, symbols) * np.exp(moves.cumsum(axis=0))
    opened = close / np.exp(moves)
    wick = np.exp(np.abs(chance.normal(0.0, 0.0005, (2, MINUTES, symbols))))
    bars = {
        "open": opened,
        "high": np.maximum(opened, close) * wick[0],
        "low": np.minimum(opened, close) / wick[1],
        "close": close,
    }
    minute = np.repeat(np.arange(1 - MINUTES, 1), symbols)
    minute_at = microseconds(NEWEST) + minute * (60 * SECOND)
    symbol = np.tile(np.arange(symbols), MINUTES)
    columns = {
        "source": chosen(minute * 0, [SOURCE]),
        "symbol": chosen(symbol, [f"C{first + n:05}-USDT" for n in range(symbols)]),
        "minute_at": moments(minute_at),
        **{name: prices((values * 1e8).astype(np.int64).ravel()) for name, values in bars.items()},
        "origin": chosen(minute * 0, ["exchange"]),
        "date": dates(minute_at),
    }
    return pa.table(columns).select(CANDLES.names).cast(CANDLES)


def microseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND


def hashes(chance: np.random.Generator, count: int) -> pa.Array:
    """Texts as long as a SHA-256, which no codec shrinks below its half."""
    ends = np.arange(count + 1, dtype=np.int32) * 64
    text = chance.bytes(32 * count).hex().encode()
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(text))


def chosen(places: Numbers, words: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(places), pa.array(words)).cast(pa.string())


def moments(at: Numbers) -> pa.Array:
    return pa.array(at).cast(MOMENT)


def dates(at: Numbers) -> pa.Array:
    return pa.array((at // DAY).astype(np.int32)).cast(pa.date32())


def prices(units: Numbers) -> pa.Array:
    """Hundred-millionths as a table's decimals."""
    one = pa.scalar(Decimal("0.00000001"), pa.decimal128(8, 8))
    return pc.multiply(pa.array(units).cast(pa.decimal128(19, 0)), one).cast(PRICE)
