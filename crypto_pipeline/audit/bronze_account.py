"""Bronze against raw: every record in exactly one table, with the values that its bytes say."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crypto_pipeline.audit import expected
from crypto_pipeline.audit.difference import Account, Line, compare, coordinates, prints
from crypto_pipeline.audit.pins import Pins
from crypto_pipeline.bronze.schema import CANDLES, POLLS, REJECTED, TICKS
from crypto_pipeline.lake.table import Table
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.stages import BRONZE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

TABLES = (TICKS, CANDLES, POLLS, REJECTED)


def account(pins: Pins) -> Account:
    """A row that stands in another table than its bytes say is missing here, unexpected there."""
    raw = pins.within(pins.rows(RECORDS, upto=pins.taken(BRONZE))).dropDuplicates(
        list(RECORDS.keys)
    )
    upto = pins.batch(BRONZE)
    wanted = expected.bronze(
        raw,
        market=pins.lake.market,
        replayed=replayed(pins),
        rejected=pins.rows(REJECTED, upto=upto),
    )
    want = [_prints(wanted[t.key], t) for t in TABLES]
    have = [_prints(pins.within(pins.rows(t, upto=upto)), t) for t in TABLES]
    counts, differences = compare(
        reduce(lambda a, b: a.unionByName(b), want), reduce(lambda a, b: a.unionByName(b), have)
    )
    again = pins.within(replayed(pins)).agg(F.count("*").alias("n")).collect()[0]["n"]
    rows_in = raw.select(F.count("*").alias("n")).collect()[0]["n"]
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
