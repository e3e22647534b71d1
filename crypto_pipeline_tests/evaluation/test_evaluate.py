"""From a folder of candle files through Spark to the table, CSV, JSON and plots."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from crypto_pipeline.evaluation import command, files
from crypto_pipeline.evaluation.candles import read_candles
from crypto_pipeline.gold import volatility
from crypto_pipeline.gold.schema import CANDLES_1M
from crypto_pipeline.predictions import formula, recipe
from crypto_pipeline.predictions.inputs import MEASURES, build_inputs
from crypto_pipeline.predictions.schema import HORIZONS
from crypto_pipeline_tests.builders import frame, gold_candle
from crypto_pipeline_tests.predictions.candles import market

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


# No time at all, and one of microseconds, as some dumps have it.
BAD_LINES = "not,a,row,at,all,x\n1735689600000000,1,1,1,1,1\n"


def write_candles(folder: Path, name: str, candles: pd.DataFrame, *, extra: str = "") -> None:
    lines = candles.assign(open_time_ms=candles["minute"] * 60_000, volume=1.0)
    text = lines[["open_time_ms", "open", "high", "low", "close", "volume"]].to_csv(index=False)
    with gzip.open(folder / f"{name}-1m.csv.gz", "wt") as file:
        file.write(text + extra)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("candles")
    write_candles(made, "AAA_USDT", market(days=4, seed=1), extra=BAD_LINES)
    write_candles(made, "BBB_BTC", market(days=4, seed=2, price=1e-5, step=1e-8))
    flat = market(days=4, seed=3)
    flat[["open", "high", "low", "close"]] = 2.5
    write_candles(made, "FLAT_USDT", flat)
    return made


def test_a_folder_is_scored_printed_and_written(
    spark: SparkSession, folder: Path, tmp_path: Path
) -> None:
    done = command.run(spark, read_candles(spark, folder), days=1)
    assert done.symbols == 3
    assert done.unscored == (f"{folder.name}:FLAT-USDT",)
    assert {s.horizon_minutes for s in done.scores} == set(HORIZONS)
    assert {s.model for s in done.scores} == set(recipe.MODELS)
    whole = next(s for s in done.scores if (s.group, s.model) == ("all", recipe.BLEND))
    assert whole.origins == len(done.losses[5]) > 500
    assert whole.qlike == pytest.approx(float(done.losses[5]["blend_pooled_qlike"].mean()))

    text = io.StringIO()
    files.print_table(Console(file=text, width=80), done)
    files.write(done, tmp_path)
    for words in (
        "5 minutes",
        "60 minutes",
        "│ blend_pooled",
        "best baseline",
        "against ewma_45m",
        "FLAT-USDT",
    ):
        assert words in text.getvalue()
    table = pd.read_csv(tmp_path / "scores.csv")
    assert len(table) == len(done.scores)
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert len(content["verdicts"]) == len(HORIZONS)
    assert (tmp_path / "qlike-60m.svg").stat().st_size > 1000


def test_what_is_fitted_is_what_gold_holds(spark: SparkSession) -> None:
    candles = market(days=1.2, seed=6).drop(index=[1300, 1301]).reset_index(drop=True)
    rows = [
        gold_candle(
            datetime.fromtimestamp(int(c.minute) * 60, tz=UTC),
            **{n: Decimal(f"{getattr(c, n):.8f}") for n in ("open", "high", "low")},
            close=f"{c.close:.8f}",
        )
        for c in candles.itertuples()
    ]
    gold = frame(spark, CANDLES_1M, rows)
    expected = build_inputs(candles).set_index("minute").iloc[-60::7]
    targets = spark.createDataFrame(
        [(rows[0]["source"], rows[0]["symbol"], int(m)) for m in expected.index],
        "source string, symbol string, minute long",
    )
    closes = gold.select(formula.minute().alias("minute"), "close")
    measured = volatility.measure(targets, volatility.with_terms(gold)).join(closes, on="minute")
    columns = (measure.alias(name) for name, measure in formula.measures().items())
    found = measured.select("minute", *columns).toPandas().set_index("minute")
    found = found.loc[expected.index].astype(np.float64)
    for name in MEASURES:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, err_msg=name)
