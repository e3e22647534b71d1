"""A poller killed at any step, a broker killed for minutes: every poll arrives, none twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from deltalake import DeltaTable

from crypto_pipeline.errors import BrokerAwayError
from crypto_pipeline.pipeline import open_pipeline
from crypto_pipeline.resources.market import ingest
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import BRONZE, RAW, SILVER
from crypto_pipeline.stream.topics import ensure
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.crash import topics
from crypto_pipeline_tests.crash.market import MINUTE, Make, market, wait_for_a_minute
from crypto_pipeline_tests.crash.poller import STEPS

pytestmark = [
    pytest.mark.integration,
    pytest.mark.spark,
    pytest.mark.prove,
    pytest.mark.timeout(900),
]


def poll(settings: Settings, step: str, minute: datetime) -> int:
    """One minute's ingestion in a process of its own; gives its exit code."""
    token = settings.spark_token_setting
    assert token is not None
    done = subprocess.run(
        [sys.executable, "-m", "crypto_pipeline_tests.crash.poller", step, minute.isoformat()],
        env={**os.environ, **settings.environment(), "SPARK_CONNECT_TOKEN": token.reveal()},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def assert_once_in_silver(settings: Settings, polls: int) -> None:
    """Raw has all that the topics hold; silver has each fact once, and only facts."""
    with open_pipeline(settings) as pipeline:
        for stage in (RAW, BRONZE, SILVER):
            assert pipeline.run(stage).balances
    path = f"{settings.lake_root}/silver/ticks"
    rows = DeltaTable(path).to_pyarrow_table(columns=["id", "symbol", "poll_at"]).to_pylist()
    assert len(rows) == polls * len(settings.symbols)
    assert len({row["id"] for row in rows}) == len(rows)


def test_a_poller_killed_at_any_step_loses_and_doubles_nothing(
    servers: Settings, make_settings: Make
) -> None:
    claim = proof.begin("poller-killed", reduced=1, full=20)
    begin = datetime(2026, 11, 23, 10, tzinfo=UTC)
    with market(servers, make_settings, SYMBOLS="BTC-USDT,ETH-USDT,SOL-USDT") as broker:
        kills, minutes = 0, []
        for _ in range(claim.count):
            for step in STEPS:
                minutes.append(begin + len(minutes) * MINUTE)
                kills += poll(broker.settings, step, minutes[-1]) == -signal.SIGKILL
                assert poll(broker.settings, "none", minutes[-1]) == 0
        assert kills == claim.count * (len(STEPS) - 1)
        seen = topics.assert_whole(broker.settings, minutes)
        assert_once_in_silver(broker.settings, len(minutes))
    claim.record(kills=kills, polls=len(minutes), ticks_on_topic=seen.total, lost=0, doubled=0)


def test_polls_of_minutes_without_a_broker_arrive_when_it_is_back(
    servers: Settings, make_settings: Make
) -> None:
    """Full: three real minutes at normal speed. Reduced: simulated minutes of three seconds."""
    claim = proof.begin("broker-killed-three-minutes", reduced=1, full=3)
    speed = "1" if proof.is_full() else "20"
    with market(servers, make_settings, SIMULATOR_SPEED=speed) as broker:
        settings = broker.settings
        minutes = [ingest(settings).poll_at]
        broker.kill()
        away = 0
        down_until = time.monotonic() + claim.count * 60 / (1 if proof.is_full() else 6)
        while time.monotonic() < down_until:
            try:
                ingest(settings)
            except BrokerAwayError as error:
                away += "Nothing is lost" in str(error)
            wait_for_a_minute(settings, speed=float(speed))
        broker.up()
        ensure(settings)
        last = ingest(settings)
        assert last.spooled == 0
        assert away >= 3
        assert last.delivered >= away
        polled = sorted({m for _, m in topics.ticks(settings).ids})
        assert polled[0] == minutes[0]
        assert len(polled) >= 1 + away
        topics.assert_whole(settings, polled)
        assert_once_in_silver(settings, len(polled))
    claim.record(minutes_without_a_broker=away, polls=len(polled), lost=0, doubled=0)
