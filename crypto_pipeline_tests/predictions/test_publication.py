"""Which forecasts go to the screen: of the wanted batches those whose target is still to come."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from crypto_pipeline.lake import few_rows
from crypto_pipeline.predictions.publication import forecast_records
from crypto_pipeline.predictions.schema import FORECASTS
from crypto_pipeline.stages import PREDICTIONS
from crypto_pipeline_tests.builders import AT, ETH, put
from crypto_pipeline_tests.predictions.test_live import said

if TYPE_CHECKING:
    from crypto_pipeline.lake.location import Lake

pytestmark = pytest.mark.spark


def test_only_origins_within_the_longest_horizon_are_read(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [said("ewma", 1e-6, at=-600), said("ewma", 1e-6, at=-20)]
    put(lake, PREDICTIONS, {FORECASTS: [*old, said("ewma", 1e-6)]}, batch=1)
    long = said("ewma", 1e-6, at=-59, symbol=ETH)
    long |= {"horizon_minutes": 60, "target_at": long["origin_at"] + timedelta(minutes=60)}
    put(lake, PREDICTIONS, {FORECASTS: [long]}, batch=2)

    found = forecast_records(lake, after_batch=0, to_batch=2, market_now=AT)
    told = [(one["symbol"], one["horizon_minutes"], one["batch"]) for one in found.records]
    assert told == [("BTC-USDT", 5, 1), ("ETH-USDT", 60, 2)]
    assert found.passed == 1, "what is ten hours old is not read"

    after = forecast_records(lake, after_batch=1, to_batch=2, market_now=AT)
    assert [one["symbol"] for one in after.records] == ["ETH-USDT"]
    # Too many for values, they are scanned, and say the same.
    monkeypatch.setattr(few_rows, "FEW", 0)
    assert forecast_records(lake, after_batch=0, to_batch=2, market_now=AT) == found
