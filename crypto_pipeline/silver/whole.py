"""Silver in closed form: what all increments together must have made of the rows of bronze.

The increments compare a range with what was committed before it; here every row is judged at
once, by the number of its batch. Audit and rebuild use it, so it shares no rule's code with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from crypto_pipeline.silver.transform import ARRIVAL, TOO_LATE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

INSTRUMENT = ("source", "symbol")


def newest_before(rows: DataFrame) -> DataFrame:
    """The newest fact of each source and symbol in earlier batches: source, symbol, taken_in.

    Of rows with source, symbol, fact_at and `taken_in`, the batch that took them. What was set
    aside does not raise it: a repeat has the time of its first, and what is too late is older.
    """
    earlier = (
        Window.partitionBy(*INSTRUMENT)
        .orderBy("taken_in")
        .rowsBetween(Window.unboundedPreceding, -1)
    )
    return (
        rows.groupBy(*INSTRUMENT, "taken_in")
        .agg(F.max("fact_at").alias("newest_at"))
        .withColumn("newest_at", F.max("newest_at").over(earlier))
    )


def judge(rows: DataFrame, newest: DataFrame) -> DataFrame:
    """Add `outcome` (accepted, duplicate, conflict, too_late) and `is_late`.

    `rows` has id, source, symbol, fact_at, content_hash, is_exempt, taken_in and coordinates; all
    copies of an id must be there. `newest` is what `newest_before` makes of the whole table.
    """
    copies = Window.partitionBy("id", "taken_in").orderBy(F.col("is_exempt").desc(), *ARRIVAL)
    together = copies.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    limit = F.col("newest_at") - F.expr(f"INTERVAL {TOO_LATE.total_seconds()} SECONDS")
    is_old = ~F.col("is_exempt") & F.coalesce(F.col("fact_at") < limit, F.lit(False))
    could = (F.col("copy") == 1) & ~F.col("is_old")
    first = F.min(F.when(could, F.struct("taken_in", "content_hash"))).over(
        Window.partitionBy("id")
    )
    judged = (
        rows.join(newest, on=[*INSTRUMENT, "taken_in"], how="left")
        .withColumn("copy", F.row_number().over(copies))
        .withColumn("first_hash", F.first("content_hash").over(together))
        .withColumn("is_old", is_old)
        .withColumn("accepted", first)
    )
    is_after = F.coalesce(F.col("taken_in") > F.col("accepted.taken_in"), F.lit(False))
    reference = F.when(is_after, F.col("accepted.content_hash")).otherwise(F.col("first_hash"))
    is_repeat = is_after | (F.col("copy") > 1)
    outcome = (
        F.when(is_repeat & (F.col("content_hash") != reference), "conflict")
        .when(is_repeat, "duplicate")
        .when(F.col("is_old"), "too_late")
        .otherwise("accepted")
    )
    is_late = F.coalesce(F.col("fact_at") < F.col("newest_at"), F.lit(False))
    return judged.withColumn("outcome", outcome).withColumn("is_late", is_late)
