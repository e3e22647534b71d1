"""What forecasts cost in the minute cycle: `python -m …benchmarks.scoring`.

The transform of the stage predictions, as a cycle runs it for 3,600 symbols (origins told apart,
known forecasts looked up, fits and gates joined, three models at three horizons, who serves,
bands, ids), against a bare predict: one fitted model's formula at three horizons over the same
rows of the same table. Both are written to nowhere, in turn (A-B-A-B, median of pairs' ratios).
"""

from __future__ import annotations

import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from rich.console import Console

from crypto_pipeline import settings as settings_module
from crypto_pipeline.embedded.running import services
from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.session import connect, disconnect
from crypto_pipeline.lake.tuning import tune
from crypto_pipeline.predictions import har, transform
from crypto_pipeline.predictions.schema import FORECASTS, GATES, HORIZONS, MODELS
from crypto_pipeline.stage import StageInput
from crypto_pipeline.stages import PREDICTIONS
from crypto_pipeline.stages import VOLATILITY as MEASURED
from crypto_pipeline_tests.builders import MINUTE, Row, put
from crypto_pipeline_tests.conftest import free_port

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PAIRS = 9
WARM = 3
SYMBOLS = 3_600
LIMIT = 3.0
AT = datetime(2026, 11, 23, 10, 5, tzinfo=UTC)
WEIGHTS = {"intercept": -1.5, "weight_5m": 0.2, "weight_60m": 0.3, "weight_24h": 0.4}


def minutes(at: datetime) -> list[Row]:
    """A minute of gold/volatility, every measure there."""
    chance = random.Random(7)
    rows = []
    for n in range(SYMBOLS):
        level = math.exp(chance.gauss(-14, 1))
        measures = {name: level * m for name, m in har.MINUTES.items()}
        rows.append(
            {
                "source": "simulator:binance:7",
                "symbol": f"C{n}-USDT",
                "minute_at": at,
                "close": Decimal(n + 1),
                "origin": "sampled",
                "date": at.date(),
                "ewma": math.sqrt(level * 525_600),
                **measures,
            }
        )
    return rows


def fits() -> list[Row]:
    facts = {"trained_from": AT - timedelta(days=9), "trained_through": AT - timedelta(hours=3)}
    own = {"model": har.MODEL, "model_version": "1", "residual_variance": 0.5, "rows": 10**6}
    return [{**own, **WEIGHTS, **facts, "horizon_minutes": h, "batch": 1} for h in HORIZONS]


def decided() -> list[Row]:
    own = {"decided_at": AT - MINUTE, "champion": har.MODEL, "baseline": "ewma", "batch": 1}
    return [{**own, "horizon_minutes": h} for h in HORIZONS]


def prepare(lake: Lake) -> StageInput:
    """A lake with a minute to score, and the cycle's view of it."""
    put(lake, MEASURED, {VOLATILITY: minutes(AT)})
    put(lake, PREDICTIONS, {FORECASTS: []})
    for table, rows in ((MODELS, fits()), (GATES, decided())):
        lake.ensure(table)
        values = [tuple(row.get(name) for name in table.columns) for row in rows]
        frame = lake.spark.createDataFrame(values, table.schema)
        frame.write.format("delta").mode("append").save(lake.path(table))
    return StageInput(
        market="simulated",
        batch=2,
        epoch=0,
        now=AT + timedelta(seconds=10),
        new={VOLATILITY.key: lake.increment(VOLATILITY, after=0, to=1)},
        known=lake.read,
        span=(AT, AT),
    )


def nowhere(rows: DataFrame) -> None:
    rows.write.format("noop").mode("overwrite").save()


def bare(given: StageInput) -> float:
    """The formula of one model at each horizon, and nothing else."""
    started = time.perf_counter()
    columns = {name: F.lit(value) for name, value in {**WEIGHTS, "residual_variance": 0.5}.items()}
    rows = given.new[VOLATILITY.key].withColumns(columns)
    said = (har.predicted_variance(F.lit(h)).alias(f"variance_in_{h}m") for h in HORIZONS)
    nowhere(rows.select("source", "symbol", "minute_at", *said))
    return time.perf_counter() - started


def ours(given: StageInput) -> float:
    """The whole transform, as `run_stage` calls it."""
    started = time.perf_counter()
    result = transform.run(given)
    nowhere(result.outputs[FORECASTS.key])
    seconds = time.perf_counter() - started
    for frame in result.cached:
        frame.unpersist()
    return seconds


def paired(a: Callable[[], float], b: Callable[[], float]) -> list[tuple[float, float]]:
    for _ in range(WARM):
        a(), b()
    return [(a(), b()) for _ in range(PAIRS)]


def main() -> int:
    """Print the figures; 1 when the ratio is above its limit."""
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_module.load(
            {"STATE_DIR": folder, "MARKET": "simulated", "SPARK_PORT": str(free_port())},
            env_file=Path(folder) / "no.env",
        )
        with services(settings, ["spark"]):
            spark = connect(settings, role="benchmark")
            given = prepare(Lake(spark=spark, root=f"{folder}/lake", market="simulated"))
            tune(spark, rows=SYMBOLS)
            rows = transform.run(given).outputs[FORECASTS.key].count()
            pairs = paired(lambda: bare(given), lambda: ours(given))
            disconnect(spark)
    ratio = statistics.median(y / x for x, y in pairs)
    Console().print(
        f"Scoring {SYMBOLS:,} symbols ({rows:,} forecasts), medians of {PAIRS} pairs: bare predict "
        f"{statistics.median(x for x, _ in pairs):.3f} s, ours "
        f"{statistics.median(y for _, y in pairs):.3f} s, ratio {ratio:.2f} (at most {LIMIT})."
    )
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
