"""A poller that stood still for ten minutes: the ledger names them, the repair fills them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from deltalake import DeltaTable

from crypto_pipeline.backfill.run import days_to_repair, repair_day
from crypto_pipeline.lake.rows import read_days
from crypto_pipeline.pipeline import Pipeline, open_pipeline
from crypto_pipeline.resources.market import ingest
from crypto_pipeline.settings import Settings
from crypto_pipeline.silver.schema import CANDLES, GAPS
from crypto_pipeline.source.binance import epoch_ms
from crypto_pipeline.stages import BRONZE, RAW, SILVER
from crypto_pipeline.stages import CANDLES as GOLD
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.crash.market import MINUTE, Make, market, wait_for_a_minute

# Minutes; fewer are of the same kind.
STOPPED = 10 if proof.is_full() else 4
SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT")
Minute = tuple[str, datetime]


def poll_minutes(settings: Settings, count: int, *, speed: float) -> list[datetime]:
    polled = []
    for _ in range(count):
        wait_for_a_minute(settings, speed=speed)
        polled.append(ingest(settings).poll_at)
    return polled


def unpolled(polled: Sequence[datetime]) -> list[datetime]:
    """Minutes whose candle no poll has brought: it comes with the poll of the next minute.

    A poll that took longer than its minute leaves one out too, wherever that was.
    """
    between = range(1, (polled[-1] - polled[0]) // MINUTE)
    return [at - MINUTE for n in between if (at := polled[0] + MINUTE * n) not in set(polled)]


def drain(pipeline: Pipeline) -> None:
    for stage in (RAW, BRONZE, SILVER, GOLD):
        assert pipeline.run(stage).balances


def ledger(settings: Settings, since: datetime) -> dict[Minute, tuple[str, str]]:
    """Cause and state of each minute that was ever missing."""
    rows = read_days(f"{settings.lake_root}/{GAPS.key}", since=since.date())
    found: dict[Minute, tuple[str, str]] = {}
    for row in sorted(rows, key=lambda row: row["batch"]):
        for number in range(row["minutes"]):
            at = row["from_at"].astimezone(UTC) + MINUTE * number
            found[row["symbol"], at] = (row["cause"], row["state"])
    return found


def candles(settings: Settings, key: str, time: str) -> dict[Minute, tuple[Decimal, ...]]:
    names = ("open", "high", "low", "close", "volume")
    rows: list[dict[str, Any]] = (
        DeltaTable(f"{settings.lake_root}/{key}")
        .to_pyarrow_table(columns=["symbol", time, *names])
        .to_pylist()
    )
    found = {
        (row["symbol"], row[time].astimezone(UTC)): tuple(row[name] for name in names)
        for row in rows
    }
    assert len(found) == len(rows), "a minute twice"
    return found


def truth(settings: Settings, first: datetime, last: datetime) -> dict[Minute, tuple[Decimal, ...]]:
    """What the simulator traded from `first` to `last`, both included."""
    found = {}
    for symbol in SYMBOLS:
        query = {
            "symbol": symbol.replace("-", ""),
            "interval": "1m",
            "startTime": str(epoch_ms(first)),
            "endTime": str(epoch_ms(last)),
        }
        answer = httpx.get(f"{settings.simulator_url}/truth/klines", params=query)
        for row in answer.raise_for_status().json():
            at = datetime.fromtimestamp(row[0] / 1000, UTC)
            found[symbol, at] = tuple(Decimal(text) for text in row[1:6])
    return found


def test_every_minute_without_a_poll_is_one_whose_candle_is_gone() -> None:
    at = datetime(2026, 11, 23, 10, tzinfo=UTC)
    polled = [at + MINUTE * number for number in (0, 2, 3, 6)]
    assert unpolled(polled) == [at, at + MINUTE * 3, at + MINUTE * 4]
    assert unpolled([at, at + MINUTE]) == []


@pytest.mark.integration
@pytest.mark.spark
@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_ten_minutes_without_a_poller_are_named_and_filled(
    servers: Settings, make_settings: Make
) -> None:
    """Full: fourteen real minutes at normal speed. Reduced: simulated minutes of four seconds."""
    claim = proof.begin("poller-stopped-ten-minutes", reduced=1, full=1)
    speed = 1.0 if proof.is_full() else 15.0
    with market(
        servers, make_settings, SYMBOLS=",".join(SYMBOLS), SIMULATOR_SPEED=str(speed)
    ) as broker:
        settings = broker.settings
        before = poll_minutes(settings, 2, speed=speed)
        for _ in range(STOPPED):
            wait_for_a_minute(settings, speed=speed)
        after = poll_minutes(settings, 2, speed=speed)
        first, last = before[0] - MINUTE, after[-1] - MINUTE
        gone = unpolled([*before, *after])
        assert len(gone) >= STOPPED
        with open_pipeline(settings) as pipeline:
            drain(pipeline)
            named = ledger(settings, before[0])
            assert named == {(s, at): ("no_poll", "open") for s in SYMBOLS for at in gone}
            days = days_to_repair(settings)
            assert days == sorted({at.date() for at in gone})
            filled = sum(repair_day(settings, day).candles for day in days)
            drain(pipeline)
        closed = ledger(settings, before[0])
        assert closed == {(s, at): ("no_poll", "repaired") for s in SYMBOLS for at in gone}
        assert days_to_repair(settings) == []
        expected = truth(settings, first, last)
        assert len(expected) == len(SYMBOLS) * ((last - first) // MINUTE + 1)
        assert candles(settings, CANDLES.key, "open_at") == expected
        assert candles(settings, GOLD.primary.key, "minute_at") == expected
        assert filled == len(SYMBOLS) * len(gone)
    claim.record(speed=speed, minutes_named=len(gone), candles_filled=filled, candles=len(expected))
