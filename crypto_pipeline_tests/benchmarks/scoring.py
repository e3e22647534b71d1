"""What forecasts cost in the minute cycle: `python -m …benchmarks.scoring`.

Each pair gets a minute of its own of 3,600 symbols in gold/volatility, planned and read as a cycle
does. Against a bare predict (one fitted model's formula at three horizons over that frame) stand
the scoring of the cycle (origins told apart, fits and gates looked up, four models at three
horizons, who serves, bands, ids), both written to nowhere, and the whole stage: planned, read,
scored, counted and committed to Delta. Ratios of medians, of those that went first in their minute
and of those that went second.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from rich.console import Console

from crypto_pipeline.embedded.running import services
from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.lake.commit import Write, commit
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.lake.session import connect, disconnect
from crypto_pipeline.lake.tuning import tune
from crypto_pipeline.plan import next_plan
from crypto_pipeline.planned_input import read_plan
from crypto_pipeline.predictions import formula, recipe, transform
from crypto_pipeline.predictions.fit import Fit, described
from crypto_pipeline.predictions.schema import FORECASTS, GATES, HORIZONS, MODELS
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.stage import StageInput
from crypto_pipeline.stages import PREDICTIONS
from crypto_pipeline.stages import VOLATILITY as MEASURED
from crypto_pipeline.stream.ranges import TopicEnds
from crypto_pipeline_tests.benchmarks.place import place
from crypto_pipeline_tests.builders import MINUTE, Row, put

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PAIRS = 8
WARM = 3
SYMBOLS = 3_600
LIMIT = 3.0
MODELS_SAID = len(recipe.LIVE_FORMULAS) + len(recipe.LIVE_FITTED)
AT = datetime(2026, 11, 23, 10, 5, tzinfo=UTC)


class Seconds(NamedTuple):
    """Wall seconds of one minute's three ways."""

    bare: float
    scoring: float
    stage: float
    is_bare_first: bool


def minutes(at: datetime) -> list[Row]:
    """A minute of gold/volatility, every measure there."""
    chance = random.Random(7)
    rows = []
    for n in range(SYMBOLS):
        level = math.exp(chance.gauss(-14, 1))
        measures = {name: level * m for name, m in formula.MINUTES.items()}
        measures |= {name: math.sqrt(level * 525_600) for name in formula.ANNUALISED}
        measures |= {name: math.sqrt(level) for name in formula.RETURNS.values()}
        rows.append(
            {
                "source": "simulator:binance:7",
                "symbol": f"C{n}-USDT",
                "minute_at": at,
                "close": Decimal(n + 1),
                "origin": "sampled",
                "date": at.date(),
                "bollinger_width": 8 * math.sqrt(level),
                "atr_14": math.sqrt(level) * (n + 1),
                **measures,
            }
        )
    return rows


def fit(horizon: int, model: str = recipe.CHALLENGER) -> Fit:
    """Weights of every term of the model."""
    terms = recipe.TERMS if model == recipe.CHALLENGER else recipe.HAR
    return Fit(
        model=model,
        horizon_minutes=horizon,
        weights=tuple(0.9 / len(terms) if name in terms else 0.0 for name in recipe.TERMS),
        band=1.7,
        residual_variance=0.5,
        rows=10**6,
        trained_from=AT - timedelta(days=9),
        trained_through=AT - timedelta(hours=3),
    )


def prepare(lake: Lake) -> None:
    """Commits of a training and of a decision, and a first minute that has been forecast."""
    fits = [described(fit(h, model)) for h in HORIZONS for model in recipe.LIVE_FITTED]
    chosen = {"champion": recipe.CHALLENGER, "baseline": recipe.EWMA}
    verdicts = [{"horizon_minutes": h, **chosen} for h in HORIZONS]
    for table, ranges in (
        (MODELS, {"model_version": "1", "fits": fits}),
        (GATES, {"verdicts": verdicts, "pinned": None}),
    ):
        lake.ensure(table)
        record = CommitRecord(
            stage=table.name,
            batch=1,
            write_id=str(uuid4()),
            ranges=ranges,
            counts={},
            outputs={},
            code_version="benchmark",
        )
        nothing = lake.spark.createDataFrame([], table.schema)
        commit(Write(path=lake.path(table), rows=nothing, row_count=0), record)
    put(lake, MEASURED, {VOLATILITY: minutes(AT)})
    runner(lake).run(PREDICTIONS)


def runner(lake: Lake) -> StageRunner:
    return StageRunner(
        lake=lake,
        read_ends=lambda: TopicEnds(cluster_id="", topics={}),
        kafka_options={},
        now=lambda: AT + timedelta(hours=1),
    )


def next_input(lake: Lake) -> StageInput:
    """The cycle's view of what the stage has not read yet."""
    paths = {table.key: lake.path(table) for table in (*PREDICTIONS.outputs, *PREDICTIONS.reads)}
    plan = next_plan(PREDICTIONS, path=paths, ends=None)
    assert plan is not None
    given, rows = read_plan(
        lake, PREDICTIONS, plan, kafka_options={}, now=lambda: AT + timedelta(hours=1)
    )
    tune(lake.spark, rows=rows)
    return given


def nowhere(rows: DataFrame) -> None:
    rows.write.format("noop").mode("overwrite").save()


def bare(given: StageInput) -> float:
    """The formula of one model at each horizon, and nothing else."""
    started = time.perf_counter()
    key = ("source", "symbol", "minute_at")
    measured = given.new[VOLATILITY.key].select(
        *(*key, *(measure.alias(name) for name, measure in formula.measures().items()))
    )
    said = (formula.predicted_variance(fit(h)).alias(f"variance_in_{h}m") for h in HORIZONS)
    nowhere(measured.withColumns(formula.terms()).select(*key, *said))
    return time.perf_counter() - started


def scoring(given: StageInput) -> float:
    """The whole transform, as `run_stage` calls it."""
    started = time.perf_counter()
    result = transform.run(given)
    nowhere(result.outputs[FORECASTS.key])
    seconds = time.perf_counter() - started
    for frame in result.cached:
        frame.unpersist()
    return seconds


def one_minute(lake: Lake, *, number: int) -> Seconds:
    """A new minute, scored in all three ways; which goes first changes from minute to minute."""
    put(lake, MEASURED, {VOLATILITY: minutes(AT + number * MINUTE)}, batch=number + 1)
    given = next_input(lake)
    ways = {"bare": bare, "scoring": scoring}
    found = {name: ways[name](given) for name in sorted(ways, reverse=number % 2 == 1)}
    run = runner(lake).run(PREDICTIONS)
    assert run.rows_out[FORECASTS.key] == MODELS_SAID * len(HORIZONS) * SYMBOLS
    return Seconds(**found, stage=run.seconds, is_bare_first=next(iter(found)) == "bare")


def by_place(found: list[Seconds], *, is_first: bool) -> float:
    """Scoring over bare predict, each the median of the minutes in which it went in that place."""
    scored = [one.scoring for one in found if one.is_bare_first is not is_first]
    bared = [one.bare for one in found if one.is_bare_first is is_first]
    return statistics.median(scored) / statistics.median(bared)


def main() -> int:
    """Print the figures; 1 when the scoring's ratio is above its limit."""
    with place() as settings, services(settings, ["spark"]):
        spark = connect(settings, role="benchmark")
        lake = Lake(spark=spark, root=settings.lake_root, market="simulated")
        prepare(lake)
        found = [one_minute(lake, number=n) for n in range(1, WARM + PAIRS + 1)][WARM:]
        disconnect(spark)
    # Who goes first also finds the minute's commit and files, so like is compared with like.
    first, second = (by_place(found, is_first=place) for place in (True, False))
    whole = statistics.median(one.stage / one.bare for one in found)
    console = Console(highlight=False)
    for one in found:
        console.print(f"bare {one.bare:.3f} s, scoring {one.scoring:.3f} s, stage {one.stage:.3f}")
    console.print(
        f"{SYMBOLS:,} symbols, medians of {PAIRS} pairs: bare predict "
        f"{statistics.median(one.bare for one in found):.3f} s, scoring "
        f"{statistics.median(one.scoring for one in found):.3f} s, ratio {first:.2f} going first "
        f"and {second:.2f} going second (at most {LIMIT}); the stage with its commit "
        f"{statistics.median(one.stage for one in found):.3f} s, ratio {whole:.2f}."
    )
    return 0 if max(first, second) <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
