"""`crypto-pipeline evaluate`: every model walked forward over a folder of candles, and judged."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from pyspark.sql import functions as F
from rich.console import Console

from crypto_pipeline.errors import SettingsError
from crypto_pipeline.evaluation import files
from crypto_pipeline.evaluation.candles import read_candles
from crypto_pipeline.lake.session import connect, disconnect
from crypto_pipeline.predictions import recipe, scoreboard, walk, walk_jobs
from crypto_pipeline.predictions.schema import HORIZONS
from crypto_pipeline.predictions.scoreboard import Score, Verdict
from crypto_pipeline.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Scores of all horizons, who would serve, and the losses they come from, by horizon."""

    scores: tuple[Score, ...]
    verdicts: tuple[Verdict, ...]
    losses: dict[int, pd.DataFrame]
    symbols: int
    unscored: tuple[str, ...]
    folds: tuple[walk.Fold, ...]


def evaluate(settings: Settings, console: Console, *, candles: Path, days: int, out: Path) -> int:
    """Print the table and write it; the Spark server is started unless it runs. 0 when scored."""
    from crypto_pipeline.embedded.running import services

    if not list(candles.glob(f"*{files.SUFFIX}")):
        raise SettingsError(
            f"{candles} has no candle files. Give a folder with files named "
            f"BASE_QUOTE{files.SUFFIX}, for example BTC_USDT{files.SUFFIX}."
        )
    if settings.market == "auto":
        # Only names the folder of the server's logs: nothing of a market is read.
        settings = replace(settings, market="recorded")
    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if settings.spark_remote is None:
            stack.enter_context(services(settings, ["spark"], console=console))
        spark = connect(settings, role="evaluation")
        stack.callback(disconnect, spark)
        done = run(spark, read_candles(spark, candles.absolute()), days=days)
    files.print_table(console, done)
    files.write(done, out)
    seconds = time.perf_counter() - started
    console.print(f"Written to {out} after {seconds:.0f} s.", highlight=False)
    return 0 if done.scores else 1


def run(spark: SparkSession, candles: DataFrame, *, days: int) -> Evaluation:
    """Walk forward over the last days of the candles; raises SettingsError when there are none."""
    spark.conf.set("spark.sql.execution.arrow.pyspark.enabled", "true")
    rows = walk_jobs.inputs(candles).cache()
    last = rows.agg(F.max("minute").alias("last")).first()
    if last is None or last["last"] is None:
        raise SettingsError("No candle of the folder has sound prices at a multiple of 5 minutes.")
    folds = walk.daily_folds(int(last["last"]), days=days, window_days=recipe.WINDOW_DAYS)
    symbols = {
        f"{r['source']}:{r['symbol']}" for r in rows.select(*walk_jobs.KEY).distinct().collect()
    }
    scores: list[Score] = []
    verdicts = []
    losses: dict[int, pd.DataFrame] = {}
    for horizon in HORIZONS:
        pool = walk_jobs.fit_pools(rows, horizon=horizon, folds=folds)
        found = walk_jobs.losses(rows, horizon=horizon, folds=folds, pool=pool).toPandas()
        losses[horizon] = found
        if len(found):
            scores += scoreboard.score(found, horizon=horizon)
            verdicts.append(scoreboard.judge(found, horizon=horizon))
    rows.unpersist()
    scored = {s.group.removeprefix("symbol:") for s in scores if s.group.startswith("symbol:")}
    return Evaluation(
        scores=tuple(scores),
        verdicts=tuple(verdicts),
        losses=losses,
        symbols=len(symbols),
        unscored=tuple(sorted(symbols - scored)),
        folds=folds,
    )
