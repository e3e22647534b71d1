"""The tables of a layer as they must be, each row with the batch that it has.

What retention has removed from the layer before cannot be read again: the rows that were made of
it stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crypto_pipeline.audit import expected
from crypto_pipeline.audit.batches import bronze_batches, silver_batches, with_taken_in
from crypto_pipeline.audit.bronze_account import replayed
from crypto_pipeline.audit.gold_account import measured_from, unheld
from crypto_pipeline.audit.pins import Pins
from crypto_pipeline.bronze import schema as bronze
from crypto_pipeline.gold import summary
from crypto_pipeline.gold.schema import CANDLES_1M, MARKET_SUMMARY, VOLATILITY
from crypto_pipeline.holding.sources import held_sources
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.table import Layer, Table
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.silver import schema as silver
from crypto_pipeline.stage import Stage
from crypto_pipeline.stages import BRONZE, CANDLES, SILVER, SUMMARY
from crypto_pipeline.stages import VOLATILITY as MEASURED

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# In the order in which they are made and put in place: of a stage, the primary last.
LAYERS: dict[str, tuple[tuple[Stage, Table], ...]] = {
    "bronze": tuple((BRONZE, t) for t in BRONZE.outputs),
    "silver": ((SILVER, silver.SET_ASIDE), (SILVER, silver.CANDLES), (SILVER, silver.TICKS)),
    "gold": ((CANDLES, CANDLES_1M), (MEASURED, VOLATILITY), (SUMMARY, MARKET_SUMMARY)),
}
MADE_OF: dict[Layer, Layer] = {"bronze": "raw", "silver": "bronze", "gold": "silver"}


def first_day(pins: Pins, table: Table) -> date | None:
    """The first UTC date of which a table's rows are made anew; None where all of them are."""
    if table is VOLATILITY:
        return measured_from(pins)
    if table is MARKET_SUMMARY:
        return None
    return pins.whole_from(MADE_OF[table.layer], table.layer)


def is_made_anew(pins: Pins, table: Table) -> Column | None:
    """Whether all that a row is made of is still there; None where that goes for all rows."""
    if table is MARKET_SUMMARY:
        # Of a symbol that has left the watch-list.
        limits = {"poll_at": pins.whole_from("silver"), "minute_at": pins.whole_from("gold")}
    elif table.layer == "bronze":
        # Raw is kept by the broker's date, bronze by the fact's.
        limits = {"broker_at": pins.whole_from("raw"), "date": pins.whole_from("bronze")}
    else:
        limits = {"date": first_day(pins, table)}
    parts = [
        F.coalesce(F.col(name) >= F.lit(day), F.lit(True))
        for name, day in limits.items()
        if day is not None
    ]
    return reduce(lambda a, b: a & b, parts) if parts else None


@dataclass(frozen=True)
class Rebuilt:
    """Makes the rows of tables; what was rebuilt before is read from the side place.

    `side` holds the tables named in `made`; all others are read as they stand.
    """

    pins: Pins
    side: Lake
    made: Sequence[str]

    def rows(self, stage: Stage, table: Table) -> DataFrame:
        """All rows that the table must have, with every column of it."""
        whole = {
            BRONZE.name: self._bronze,
            SILVER.name: self._silver,
            CANDLES.name: self._candles,
            MEASURED.name: self._volatility,
            SUMMARY.name: self._summary,
        }[stage.name](table)
        made = whole.select(
            *(F.col(f.name).cast(f.dataType).alias(f.name) for f in table.schema.fields)
        )
        is_made = is_made_anew(self.pins, table)
        if is_made is None or table is MARKET_SUMMARY:
            return made
        old = self.pins.rows(table, upto=self.pins.batch(stage)).select(*table.columns)
        return made.where(is_made).unionByName(old.where(~is_made))

    def _read(self, table: Table, *, upto: int) -> DataFrame:
        if table.key not in self.made:
            return self.pins.rows(table, upto=upto)
        frame = self.side.spark.read.format("delta").load(self.side.path(table))
        return frame.where(F.col("batch") <= F.lit(upto))

    def _bronze(self, table: Table) -> DataFrame:
        raw = self.pins.rows(RECORDS, upto=self.pins.taken(BRONZE))
        again = replayed(self.pins)
        rejected = self.pins.rows(bronze.REJECTED, upto=self.pins.batch(BRONZE))
        tables = expected.bronze(
            raw, market=self.pins.lake.market, replayed=again, rejected=rejected
        )
        # Of a record that was put through again the typed row has the later batch.
        place = list(RECORDS.keys)
        took = raw.select(*place, "batch")
        rows = tables[table.key].drop("batch").join(took, on=place, how="inner")
        rows = with_taken_in(rows, bronze_batches(self.pins))
        if table is bronze.REJECTED:
            return rows.withColumn("batch", F.col("taken_in"))
        later = again.select(*place, F.col("batch").alias("replayed_in"))
        return rows.join(later, on=place, how="left").withColumn(
            "batch", F.coalesce("replayed_in", "taken_in")
        )

    def _silver(self, table: Table) -> DataFrame:
        pairs = silver_batches(self.pins)
        upto = self.pins.taken(SILVER)
        ticks, candles = (
            with_taken_in(self._read(t, upto=upto), pairs) for t in (bronze.TICKS, bronze.CANDLES)
        )
        history = {silver.TICKS.key: ticks, silver.CANDLES.key: candles}
        place = list(RECORDS.keys)
        took = ticks.select(*place, "taken_in").unionByName(candles.select(*place, "taken_in"))
        rows = expected.silver(ticks, candles, history)[table.key]
        return (
            rows.drop("batch", "taken_in")
            .join(took, on=place)
            .withColumn("batch", F.col("taken_in"))
        )

    def _candles(self, table: Table) -> DataFrame:
        upto, held = self.pins.taken(CANDLES), held_sources(self.pins.last[CANDLES.name])
        ticks, candles = (
            unheld(self._read(t, upto=upto), held) for t in (silver.TICKS, silver.CANDLES)
        )
        rows = expected.candles_1m(expected.candidates(ticks, candles))
        return self._with_old_batch(rows, table, CANDLES)

    def _volatility(self, table: Table) -> DataFrame:
        candles = self._read(CANDLES_1M, upto=self.pins.taken(MEASURED))
        return self._with_old_batch(expected.volatility(candles, candles), table, MEASURED)

    def _summary(self, table: Table) -> DataFrame:
        minutes = self._read(VOLATILITY, upto=self.pins.taken(SUMMARY))
        ticks = self._read(silver.TICKS, upto=self.pins.batch(SILVER))
        stored = self.pins.rows(table, upto=self.pins.batch(SUMMARY))
        shown = stored.select("source", "symbol", "poll_at")
        is_made = is_made_anew(self.pins, table)
        kept = stored.limit(0) if is_made is None else stored.where(~is_made)
        instrument = list(summary.INSTRUMENT)
        # A summary shows the tick that was the newest when it was made.
        rows = summary.summarise(
            minutes.join(kept.select(*instrument), on=instrument, how="left_anti"),
            ticks.join(shown, on=[*instrument, "poll_at"]),
            kept,
        )
        return rows.withColumn("batch", F.lit(self.pins.batch(SUMMARY)))

    def _with_old_batch(self, rows: DataFrame, table: Table, stage: Stage) -> DataFrame:
        """A row keeps the batch that wrote it; one that was not there gets the newest."""
        key = list(table.keys)
        old = (
            self.pins.rows(table, upto=self.pins.batch(stage))
            .groupBy(*key)
            .agg(F.max("batch").alias("old_batch"))
        )
        return rows.join(old, on=key, how="left").withColumn(
            "batch", F.coalesce("old_batch", F.lit(self.pins.batch(stage)))
        )
