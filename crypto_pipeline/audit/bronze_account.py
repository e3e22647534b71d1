"""Bronze against raw: every record in exactly one table, with the values that its bytes say."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crypto_pipeline.audit import expected
from crypto_pipeline.audit.difference import Account, Line, compare, coordinates, prints
from crypto_pipeline.audit.pins import Pins, since
from crypto_pipeline.bronze.schema import CANDLES, POLLS, REJECTED, TICKS
from crypto_pipeline.lake.table import Table
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.stages import BRONZE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

TABLES = (TICKS, CANDLES, POLLS, REJECTED)


def account(pins: Pins) -> Account:
    """A row that stands in another table than its bytes say is missing here, unexpected there.

    A record is left out whose bytes retention has removed from raw, or whose row from bronze.
    """
    upto = pins.batch(BRONZE)
    records = pins.rows(RECORDS, upto=pins.taken(BRONZE))
    raw = _of_range(pins, records).dropDuplicates(list(RECORDS.keys))
    wanted = expected.bronze(
        raw,
        market=pins.lake.market,
        replayed=replayed(pins),
        rejected=pins.rows(REJECTED, upto=upto),
    )
    gone = _gone(pins, wanted)
    want = [_prints(_without(wanted[t.key], gone), t) for t in TABLES]
    have = [_prints(_without(_of_range(pins, pins.rows(t, upto=upto)), gone), t) for t in TABLES]
    counts, differences = compare(
        reduce(lambda a, b: a.unionByName(b), want), reduce(lambda a, b: a.unionByName(b), have)
    )
    again = (
        _without(_of_range(pins, replayed(pins)), gone)
        .agg(F.count("*").alias("n"))
        .collect()[0]["n"]
    )
    rows_in = _without(raw, gone).select(F.count("*").alias("n")).collect()[0]["n"]
    line = Line(
        stage=BRONZE.name,
        rows_in=rows_in,
        outcomes={
            **{t.name: counts.get(t.key, 0) for t in TABLES},
            # Still in rejected too, so it is taken off there.
            "rejected": counts.get(REJECTED.key, 0) - again,
        },
    )
    return Account(lines=(line,), differences=tuple(differences))


def _of_range(pins: Pins, rows: DataFrame) -> DataFrame:
    return since(pins.within(rows), pins.whole_from("raw"), "broker_at")


def _gone(pins: Pins, wanted: dict[str, DataFrame]) -> DataFrame | None:
    """Coordinates of records whose row is of a date that bronze no longer holds."""
    first = pins.whole_from("bronze")
    if first is None:
        return None
    old = [wanted[t.key].where(F.col("date") < F.lit(first)).select(*t.keys) for t in TABLES]
    return reduce(lambda a, b: a.unionByName(b), old).distinct()


def _without(rows: DataFrame, gone: DataFrame | None) -> DataFrame:
    return rows if gone is None else rows.join(gone, on=list(RECORDS.keys), how="left_anti")


def _prints(rows: DataFrame, table: Table) -> DataFrame:
    # How a reason is worded is the code's of its day.
    words = ("rule", "source") if table is REJECTED else ()
    return prints(rows, table, coordinates(), without=words)


def replayed(pins: Pins) -> DataFrame:
    """Coordinates and batch of the rows that were rejected first and put through again."""
    rows = [
        pins.rows(t, upto=pins.batch(BRONZE))
        .where(F.col("is_replay"))
        .select(*t.keys, "broker_at", "batch")
        for t in (TICKS, CANDLES, POLLS)
    ]
    return reduce(lambda a, b: a.unionByName(b), rows)
