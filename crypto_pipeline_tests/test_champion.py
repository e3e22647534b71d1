"""A fit by hand, and which fit serves: the commands, and what the next cycle reads of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from crypto_pipeline.cli import cli
from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.predictions import live
from crypto_pipeline.predictions.inputs import build_inputs
from crypto_pipeline.predictions.recipe import CHALLENGER
from crypto_pipeline.predictions.schema import GATES, MODELS, SCORES
from crypto_pipeline.predictions.seats import seats
from crypto_pipeline.settings import Settings, spark_token
from crypto_pipeline.stages import VOLATILITY as MEASURED
from crypto_pipeline_tests.builders import AT, put
from crypto_pipeline_tests.predictions.candles import gold_row, market

pytestmark = [pytest.mark.spark, pytest.mark.integration]


@pytest.fixture
def settings(servers: Settings, lake: Lake, make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(
        SPARK_PORT=str(servers.spark_port),
        SPARK_CONNECT_TOKEN=spark_token(servers).reveal(),
        KAFKA_PORT=str(servers.kafka_port),
        LAKE_ROOT=lake.root,
    )


def versions_in_place(lake: Lake) -> set[str | None]:
    """What the next cycle would serve the challenger's kind by."""
    ranges = [
        None if record is None else record.ranges
        for record in (log.last_commit(lake.path(table)) for table in (GATES, MODELS))
    ]
    return {seat.version for seat in seats(*ranges) if CHALLENGER in seat.fits}


def test_fits_are_made_put_in_place_and_taken_back(lake: Lake, settings: Settings) -> None:
    token = settings.spark_token_setting
    assert token is not None
    environment = {**settings.environment(), "SPARK_CONNECT_TOKEN": token.reveal()}

    def run(*words: str) -> Result:
        return CliRunner(env={"COLUMNS": "200", **environment}).invoke(cli, words)

    assert "no minute yet" in run("train").output
    seen = pd.concat(
        [
            build_inputs(market(days=1.5, seed=seed)).assign(symbol=f"C{seed}-USDT")
            for seed in (1, 2)
        ]
    )
    rows = [gold_row(row, row["symbol"]) for row in seen.to_dict("records")]
    put(lake, MEASURED, {VOLATILITY: rows})

    made = [run("train") for _ in range(2)]
    assert [(r.exit_code, r.output) for r in made] == [(0, "6 fits: fitted.\n")] * 2
    assert "not decided yet" in run("promote").output
    for table in (SCORES, GATES):
        lake.ensure(table)
    scored = live.kept(lake, since=AT - timedelta(days=3))
    live.decide(lake, scored, market_now=AT)
    (newest,) = versions_in_place(lake)

    first = run("promote", "--version", "1")
    assert (first.exit_code, first.output[:9]) == (0, "Version 1"), first.output
    assert "until `crypto-pipeline promote`" in first.output
    (older,) = versions_in_place(lake)
    assert older != newest
    assert run("promote").output == f"Version 2, fitted {newest}, is champion.\n"
    assert versions_in_place(lake) == {newest}
    assert run("rollback").output.startswith(f"Version 1, fitted {older}, is champion, until")
    assert versions_in_place(lake) == {older}
    assert run("rollback").exit_code == 2
    assert run("promote", "--version", "9").exit_code == 2
    assert versions_in_place(lake) == {older}
