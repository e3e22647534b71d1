"""A folder of candle files as a frame: BASE_QUOTE-1m.csv.gz, as in the recorded market."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crypto_pipeline.simulator.recording import SUFFIX

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MINUTE_MS = 60_000
# The years 2000 to 2100 in minutes since 1970: one time beyond them would make a grid without end.
FIRST, LAST = 15_778_080, 68_374_080
COLUMNS = "open_time_ms STRING, open STRING, high STRING, low STRING, close STRING, volume STRING"


def read_candles(spark: SparkSession, folder: Path) -> DataFrame:
    """Source (the folder's name), symbol, minute since 1970 and four prices as doubles.

    A line whose time is not a number, or of no year of 2000 to 2100, is left out; a price that is
    not one is NaN there and the minute counts as missed. The server reads the files, so it must
    see the folder.
    """
    lines = spark.read.csv(f"{folder}/*{SUFFIX}", schema=COLUMNS, header=True, mode="PERMISSIVE")
    name = F.regexp_replace(F.col("_metadata.file_name"), f"{SUFFIX}$", "")
    time = F.col("open_time_ms").try_cast("double")
    return lines.select(
        F.lit(folder.name).alias("source"),
        F.regexp_replace(name, "_", "-").alias("symbol"),
        (time / MINUTE_MS).cast("long").alias("minute"),
        *(F.col(n).try_cast("double").alias(n) for n in ("open", "high", "low", "close")),
    ).where(F.col("minute").between(FIRST, LAST))
