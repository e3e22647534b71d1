"""The command against a real broker and simulator: stopped half-way, run again, run twice."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from crypto_pipeline.pipeline import open_pipeline
from crypto_pipeline.settings import Settings
from crypto_pipeline.source.clock import minute_of
from crypto_pipeline.stages import BRONZE, RAW, SILVER
from crypto_pipeline_tests.crash import topics
from crypto_pipeline_tests.crash.market import Make, market
from crypto_pipeline_tests.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.spark, pytest.mark.timeout(600)]

SYMBOLS = "BTC-USDT"
# Two parts of one job: it is killed in the first.
DAYS = 2


def command(settings: Settings, *arguments: str) -> subprocess.Popen[str]:
    token = settings.spark_token_setting
    assert token is not None
    return subprocess.Popen(
        [sys.executable, "-m", "crypto_pipeline.cli", "backfill", *arguments],
        env={**os.environ, **settings.environment(), "SPARK_CONNECT_TOKEN": token.reveal()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def done(process: subprocess.Popen[str]) -> tuple[int, str]:
    text, _ = process.communicate(timeout=120)
    return process.returncode, text


def jobs(settings: Settings) -> list[Path]:
    return list((settings.home / "backfill").glob("*.json"))


def candles_in_silver(settings: Settings) -> int:
    with open_pipeline(settings) as pipeline:
        for stage in (RAW, BRONZE, SILVER):
            assert pipeline.run(stage).balances
    rows = DeltaTable(f"{settings.lake_root}/silver/candles").to_pyarrow_table(
        columns=["symbol", "open_at"]
    )
    pairs = {(row["symbol"], row["open_at"]) for row in rows.to_pylist()}
    assert len(pairs) == rows.num_rows, "a candle twice"
    return len(pairs)


def test_a_backfill_goes_on_after_a_kill_and_doubles_nothing(
    servers: Settings, make_settings: Make
) -> None:
    with market(servers, make_settings, SYMBOLS=SYMBOLS) as broker:
        settings = broker.settings
        end = minute_of(datetime.now(UTC)).replace(hour=0, minute=0) - timedelta(days=1)
        span = ("--from", f"{end - timedelta(days=DAYS):%Y-%m-%d}", "--to", f"{end:%Y-%m-%d}")
        first = command(settings, *span)
        wait_until(lambda: bool(jobs(settings)), seconds=60)
        first.kill()
        first.communicate()
        code, text = done(command(settings, *span))
        assert (code, "Going on where it stopped" in text) == (0, True), text
        assert jobs(settings) == []
        code, text = done(command(settings, *span))
        assert (code, f"{DAYS * 1440:,} candles" in text) == (0, True), text
        assert candles_in_silver(settings) == DAYS * 1440
        assert len(topics.records(settings, "market.candles")) >= 2 * DAYS * 1440


def test_what_cannot_be_meant_is_one_sentence(servers: Settings, make_settings: Make) -> None:
    with market(servers, make_settings, SYMBOLS=SYMBOLS) as broker:
        day = ("--from", "2026-11-20", "--to", "2026-11-21")
        code, text = done(command(broker.settings, *day, "--symbols", "NOPE-USDT"))
        assert (code, text.count("\n")) == (2, 1), text
        assert "The command names NOPE-USDT, which binance does not list" in text
        broker.kill()
        code, text = done(command(broker.settings, *day))
        assert (code, "Kafka" in text, "Traceback" in text) == (2, True, False), text
