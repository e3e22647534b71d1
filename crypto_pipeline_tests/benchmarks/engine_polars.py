"""The work of the comparison in Polars and delta-rs, by request in a process of its own.

    python -m crypto_pipeline_tests.benchmarks.engine_polars

Each line of its input is a request, each of its output the answer: seconds, and the most memory
that this process ever held. So it imports nothing of Spark's.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import CommitProperties, Transaction, WriterProperties

from crypto_pipeline_tests.benchmarks import engine_volatility
from crypto_pipeline_tests.benchmarks.engine_tables import APP, LAST, TICKS, VOLATILITY, Told

# Large enough to tell two values apart, small enough for millions to be added up exactly.
MODULUS = 1_000_003
ROWS = "how many"


def append(source: Path) -> pl.LazyFrame:
    return pl.scan_parquet(source / "*.parquet").select(TICKS.names)


def last_of_a_minute(source: Path) -> pl.LazyFrame:
    """Each id once, the first that came; of each symbol's minute the last poll."""
    ticks = pl.scan_delta(str(source))
    once = ticks.group_by("id").agg(
        pl.exclude("id", "offset").min_by("offset"), pl.col("offset").min()
    )
    minute = (pl.col("poll_at") - pl.duration(microseconds=1)).dt.truncate("1m")
    return (
        once.with_columns(minute_at=minute)
        .group_by("source", "symbol", "minute_at")
        .agg(
            pl.col("price").max_by("poll_at").alias("close"),
            pl.col("poll_at").max(),
            pl.col("observed_at", "offset").max_by("poll_at"),
            pl.col("id").max_by("poll_at").alias("fact_id"),
        )
        .with_columns(date=pl.col("minute_at").dt.date())
        .select(LAST.names)
    )


def volatility(source: Path) -> pl.LazyFrame:
    candles = pl.scan_delta(str(source))
    return engine_volatility.measured(candles).select(VOLATILITY.names)


TASKS: dict[str, Callable[[Path], pl.LazyFrame]] = {
    "append": append,
    "last of a minute": last_of_a_minute,
    "volatility": volatility,
}


def run(task: str, source: Path, target: Path) -> None:
    """Compute the task's rows and append them in one commit with a transaction's number."""
    options = {
        "writer_properties": WriterProperties(compression="ZSTD"),
        "commit_properties": CommitProperties(
            custom_metadata={"userMetadata": task}, app_transactions=[Transaction(APP, 1)]
        ),
    }
    TASKS[task](source).sink_delta(str(target), mode="append", delta_write_options=options)


def told(table: Path) -> Told:
    """Rows, and a sum of each column: of prices' and measures' sizes, else of remainders."""
    rows = pl.scan_delta(str(table))
    sums = [_sum(pl.col(name), kind).alias(name) for name, kind in rows.collect_schema().items()]
    (found,) = rows.select(pl.len().alias(ROWS), *sums).collect().to_dicts()
    return Told(rows=found.pop(ROWS), sums=found)


def _sum(column: pl.Expr, kind: pl.DataType) -> pl.Expr:
    if kind.is_float() or kind.is_decimal():
        return column.cast(pl.Float64).abs().sum()
    whole = column.hash(seed=1) if kind == pl.String else column.to_physical()
    return (whole % MODULUS).cast(pl.Int64).sum()


def peak_mebibytes() -> float:
    """Of this process alone: getrusage would tell its parent's where that held more."""
    words = Path("/proc/self/status").read_text().split()
    return int(words[words.index("VmHWM:") + 1]) / 1024


def answer(asked: dict[str, str]) -> dict[str, Any]:
    started = time.perf_counter()
    run(asked["task"], Path(asked["source"]), Path(asked["target"]))
    return {"seconds": time.perf_counter() - started, "peak_mebibytes": peak_mebibytes()}


def main() -> None:
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
