"""Silver and gold in the end do not depend on the order of arrival, nor on how it is cut."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import PollRecord
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.gold.schema import CANDLES_1M, VOLATILITY
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.table import Table
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.silver import schema as silver
from crypto_pipeline.stages import BRONZE, CANDLES, RAW, SILVER
from crypto_pipeline.stages import VOLATILITY as MEASURED
from crypto_pipeline.stream.ranges import TopicEnds
from crypto_pipeline_tests.builders import AT, BTC, ETH, MINUTE, candle, put, raw_rows, read, tick
from crypto_pipeline_tests.proof import begin, is_full

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.prove, pytest.mark.timeout(7200)]

Fact = Tick | Candle | PollRecord
# What says when and in which copy a fact arrived; all else must be the same.
ARRIVAL = {"is_late", "topic", "epoch", "partition", "offset", "broker_at", "batch"}


def market(dice: random.Random) -> list[Fact]:
    """Ticks and candles of a few minutes within a day, with corrections; each fact once."""
    facts: list[Fact] = []
    for number in sorted(dice.sample(range(20), 6)):
        at = AT + number * MINUTE
        for symbol in (BTC, ETH):
            price = Decimal(67000 + dice.randrange(-9, 10))
            facts.append(tick(symbol=symbol, poll_at=at, price=price, bid=None, ask=None))
            for revision in range(dice.randrange(0, 3)):
                seen = at + timedelta(seconds=2 + 30 * revision)
                close = price + revision
                facts.append(
                    candle(symbol=symbol, open_at=at - MINUTE, close=close, observed_at=seen)
                )
    return facts


def outcome(spark: SparkSession, folder: Path, batches: Sequence[Sequence[Fact]]) -> dict[str, Any]:
    """Rows of silver and gold after these batches, without what speaks of their arrival."""
    lake = Lake(spark=spark, root=str(folder), market="simulated")
    runner = StageRunner(
        lake=lake, read_ends=lambda: TopicEnds(cluster_id="c", topics={}), kafka_options={}
    )
    offset = 0
    for number, facts in enumerate(batches, start=1):
        rows = raw_rows(*facts)
        for row in rows:
            row["offset"] += offset
            row["broker_at"] += timedelta(seconds=offset)
        offset += len(rows)
        put(lake, RAW, {RECORDS: rows}, batch=number)
        for stage in (BRONZE, SILVER, CANDLES, MEASURED):
            runner.run(stage)
    tables = (silver.TICKS, silver.CANDLES, CANDLES_1M, VOLATILITY)
    return {table.key: _rows(lake, table) for table in tables}


def _rows(lake: Lake, table: Table) -> list[tuple[Any, ...]]:
    names = [name for name in table.columns if name not in ARRIVAL]
    rows = read(lake.read(table), *names, order=table.keys)
    return [tuple(f"{v:.9e}" if isinstance(v, float) else v for v in row.values()) for row in rows]


def test_the_end_is_the_same_in_whatever_order_and_cut(spark: SparkSession, tmp_path: Path) -> None:
    proof = begin("order-of-arrival", reduced=1, full=60)
    pieces = 3 if is_full() else 2
    for number in range(proof.count):
        # Not of Hypothesis: its first example is the simplest, and hardly out of order.
        dice = random.Random(f"{proof.seed}/{number}")
        facts = market(dice)
        arrived = [*facts, *dice.sample(facts, len(facts) // 3)]
        dice.shuffle(arrived)
        cuts = [0, *sorted(dice.sample(range(1, len(arrived)), pieces - 1)), len(arrived)]
        batches = [arrived[start:end] for start, end in pairwise(cuts)]
        whole = outcome(spark, tmp_path / f"{number}-whole", [facts])
        assert all(whole.values()), {key: len(rows) for key, rows in whole.items()}
        assert outcome(spark, tmp_path / f"{number}-cut", batches) == whole
    proof.record(examples=proof.count, batches=pieces)
