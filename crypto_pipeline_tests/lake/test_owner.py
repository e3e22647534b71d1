"""A table belongs to one kind of market and to one engine, and refuses another of either."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from crypto_pipeline.errors import ForeignEngineError, ForeignMarketError
from crypto_pipeline.lake.location import ENGINE_PROPERTY, MARKET_PROPERTY, Lake
from crypto_pipeline.raw.schema import RECORDS


def made(folder: Path, *, market: str, engine: str = "spark") -> Lake:
    """A lake of live data over a table of others; nothing here reaches a Spark session."""
    DeltaTable.create(
        str(folder / RECORDS.key),
        pa.schema([("n", pa.int64())]),
        configuration={MARKET_PROPERTY: market, ENGINE_PROPERTY: engine},
        raise_if_key_not_exists=False,
    )
    spark: Any = None
    return Lake(spark=spark, root=str(folder), market="live")


def test_another_markets_table_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ForeignMarketError, match=r"holds simulated data.*MARKET=live.*LAKE_ROOT"):
        made(tmp_path, market="simulated").ensure(RECORDS)


def test_another_engines_table_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ForeignEngineError, match=r"is written by databricks, this is spark\. One"):
        made(tmp_path, market="live", engine="databricks").ensure(RECORDS)
