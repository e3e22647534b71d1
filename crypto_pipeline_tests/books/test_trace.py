"""A number on the screen leads back to the venue's own bytes."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from crypto_pipeline.errors import NotInLakeError
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.stages import BRONZE, CANDLES, RAW, SILVER
from crypto_pipeline.stream.ranges import TopicEnds
from crypto_pipeline.trace.chain import trace
from crypto_pipeline.trace.command import lines
from crypto_pipeline_tests.books.market import KRAKEN, OWN_RECORD, SOL, arrived
from crypto_pipeline_tests.builders import AT, BTC, MINUTE, SOURCE, candle, poll, put

pytestmark = [pytest.mark.spark, pytest.mark.integration, pytest.mark.timeout(600)]


def test_a_candle_and_a_sample_lead_to_their_bytes(books: StageRunner) -> None:
    lake = books.lake
    wanted = {"symbol": SOL, "minute_at": AT + MINUTE}

    chain = trace(lake, **wanted, sources=[SOURCE, KRAKEN])
    assert [link.table.key for link in chain.links] == [
        "gold/candles_1m", "silver/candles", "bronze/candles", "raw/records",
    ]  # fmt: skip
    gold, silver, bronze, raw = chain.links
    sent = json.loads(raw.row["value"])
    assert raw.row["value"] == candle(symbol=SOL, open_at=AT + MINUTE, record=OWN_RECORD).encode()
    assert (sent["record"], bronze.row["record"]) == (OWN_RECORD, OWN_RECORD)
    assert gold.row["fact_id"] == silver.row["id"] == sent["id"]
    assert all(link.commit is not None for link in chain.links)
    shown = "\n".join(lines(chain, symbol=SOL, minute_at=AT + MINUTE))
    assert f"offset {raw.row['offset']}," in shown
    assert raw.row["value"].decode() in shown

    assert trace(lake, **wanted, sources=[KRAKEN, SOURCE]).links[0].row["source"] == KRAKEN
    other = trace(lake, **wanted, sources=[SOURCE], source=KRAKEN)
    assert other.links[0].row["close"] == Decimal("66999")

    sample = trace(lake, symbol=SOL, minute_at=AT + 2 * MINUTE, sources=[KRAKEN])
    assert [link.table.key for link in sample.links][1:3] == ["silver/ticks", "bronze/ticks"]

    with pytest.raises(NotInLakeError, match=r"no minute 2026-11-23 12:05 UTC of SOL-USDT"):
        trace(lake, symbol=SOL, minute_at=AT + timedelta(hours=2), sources=[SOURCE])
    with pytest.raises(NotInLakeError, match=rf"it has it from {SOURCE}"):
        trace(lake, symbol=BTC, minute_at=AT, sources=[SOURCE], source="nowhere")


def test_the_poll_that_brought_it_and_the_forecast_made_of_it(books: StageRunner) -> None:
    last = AT + 6 * MINUTE
    chain = trace(books.lake, symbol=BTC, minute_at=last, sources=[SOURCE], horizon=5)
    assert [link.table.key for link in chain.links[:3]] == [
        "predictions/forecasts", "gold/volatility", "gold/candles_1m",
    ]  # fmt: skip
    forecast = chain.links[0].row
    assert forecast["input_batch"] == chain.links[1].row["batch"]
    # Eight minutes and a late one, of both batches.
    assert chain.minutes == (9, 1, 2)
    poll, raw = chain.polls
    assert poll.row["poll_at"] == AT + 7 * MINUTE
    assert json.loads(raw.row["value"])["id"] == poll.row["id"]


def fetched(purpose: str, start: datetime, end: datetime) -> Any:
    """The record of a fetch of the past that went on while the minute's poll did."""
    return poll(
        poll_at=start, until_at=end, purpose=purpose,
        started_at=AT + timedelta(seconds=2), ended_at=AT + timedelta(seconds=6),
    )  # fmt: skip


def test_a_candle_of_a_backfill_leads_to_its_fetch_and_a_minutes_to_its_poll(lake: Lake) -> None:
    old, seen = AT - timedelta(days=10), AT + timedelta(seconds=3)
    facts = [
        candle(open_at=old, observed_at=seen, is_backfill=True),
        candle(open_at=AT - MINUTE, observed_at=seen),
        poll(poll_at=AT, started_at=AT, ended_at=AT + timedelta(seconds=6)),
        fetched("backfill", old - timedelta(days=3), old + timedelta(hours=1)),
        fetched("repair", AT - timedelta(hours=2), AT - timedelta(hours=1)),
    ]
    put(lake, RAW, {RECORDS: arrived(facts, AT, Counter())})
    runner = StageRunner(
        lake=lake, read_ends=lambda: TopicEnds(cluster_id="c", topics={}), kafka_options={}
    )
    for stage in (BRONZE, SILVER, CANDLES):
        runner.run(stage)

    def purpose(minute_at: datetime) -> list[Any]:
        chain = trace(lake, symbol=BTC, minute_at=minute_at, sources=[SOURCE])
        return [link.row["purpose"] for link in chain.polls[::2]]

    assert purpose(old) == ["backfill"]
    assert purpose(AT - MINUTE) == ["minute"]
