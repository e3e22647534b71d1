"""A poller killed at any step, a broker killed for minutes: every poll arrives, none twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from deltalake import DeltaTable

from crypto_pipeline.errors import BrokerAwayError
from crypto_pipeline.pipeline import open_pipeline
from crypto_pipeline.resources.market import ingest
from crypto_pipeline.settings import Settings
from crypto_pipeline.source.clock import minute_of
from crypto_pipeline.source.market import market_clock
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
NOTHING_AMISS = {"lost": 0, "doubled": 0}
# Polls that must be made without a broker, and what a crowded machine may take for them.
LEAST_AWAY = 3
DEADLINE_SECONDS = 600.0


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


def in_silver(settings: Settings, minutes: Sequence[datetime]) -> dict[str, int]:
    """Ticks of these minutes that silver has not, and rows that it has beside each once."""
    with open_pipeline(settings) as pipeline:
        for stage in (RAW, BRONZE, SILVER):
            assert pipeline.run(stage).balances
    path = f"{settings.lake_root}/silver/ticks"
    rows = DeltaTable(path).to_pyarrow_table(columns=["id", "symbol", "poll_at"]).to_pylist()
    wanted = {(symbol, at) for symbol in settings.symbols for at in minutes}
    found = {(row["symbol"], row["poll_at"].astimezone(UTC)) for row in rows}
    assert found <= wanted, "a tick that nobody polled"
    assert len({row["id"] for row in rows}) == len(found)
    return {"lost": len(wanted - found), "doubled": len(rows) - len(found)}


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
        counted = in_silver(broker.settings, minutes)
        assert counted == NOTHING_AMISS
    claim.record(kills=kills, polls=len(minutes), ticks_on_topic=seen.total, **counted)


def test_polls_of_minutes_without_a_broker_arrive_when_it_is_back(
    servers: Settings, make_settings: Make
) -> None:
    """Full: three real minutes at normal speed. Reduced: simulated minutes of four seconds.

    Which minutes were polled is noted before each poll, so that one that vanished is missed.
    """
    claim = proof.begin("broker-killed-three-minutes", reduced=1, full=3)
    speed = 1.0 if proof.is_full() else 15.0
    with market(servers, make_settings, SIMULATOR_SPEED=str(speed)) as broker:
        settings = broker.settings
        minutes = [ingest(settings).poll_at]
        broker.kill()
        begun, away = time.monotonic(), 0
        while away < LEAST_AWAY or time.monotonic() < begun + claim.count * 60 / speed:
            assert time.monotonic() < begun + DEADLINE_SECONDS, f"{away} polls without a broker"
            minutes.append(next_minute(settings, speed=speed))
            with pytest.raises(BrokerAwayError, match="Nothing is lost"):
                ingest(settings)
            away += 1
        broker.up()
        ensure(settings)
        minutes.append(next_minute(settings, speed=speed))
        last = ingest(settings)
        assert (last.poll_at, last.spooled, last.delivered) == (minutes[-1], 0, away + 1)
        topics.assert_whole(settings, minutes)
        counted = in_silver(settings, minutes)
        assert counted == NOTHING_AMISS
    claim.record(minutes_without_a_broker=away, polls=len(minutes), **counted)


def next_minute(settings: Settings, *, speed: float) -> datetime:
    """Wait until another minute of the market has begun; which it is."""
    wait_for_a_minute(settings, speed=speed)
    return minute_of(market_clock(settings).now())
