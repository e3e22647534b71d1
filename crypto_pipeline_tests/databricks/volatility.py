"""gold/volatility of two days, enough to fit on, as one committed batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from crypto_pipeline.gold.schema import CANDLES_1M, VOLATILITY
from crypto_pipeline.lake.commit import Write, commit
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.predictions.inputs import build_inputs
from crypto_pipeline_tests.predictions.candles import gold_row, market

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def two_days() -> list[dict[str, Any]]:
    """Two symbols at every minute that ends a five."""
    rows = []
    for seed, price, step in ((1, 100.0, 0.01), (2, 1.0, 0.0001)):
        seen = build_inputs(market(days=2, seed=seed, price=price, step=step))
        rows += [gold_row(row, f"C{seed}-USDT") for row in seen.to_dict("records")]
    return rows


def written(lake: Lake, rows: DataFrame) -> None:
    """As a run of the stage would, with what the next one asks of the commit."""
    lake.ensure(VOLATILITY)
    times = [row["minute_at"].timestamp() for row in two_days()]
    seen = [len(times), min(times), max(times)]
    record = CommitRecord(
        stage="volatility",
        batch=1,
        write_id=str(uuid4()),
        ranges={"batches": {"to": 1, "rows": {CANDLES_1M.key: seen}}, "pinned": {}},
        counts={"in": len(times)},
        outputs={VOLATILITY.key: seen},
        code_version="test",
    )
    commit(Write(path=lake.path(VOLATILITY), rows=rows, row_count=len(times)), record)
