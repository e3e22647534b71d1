"""One lake that the audit, the rebuild and the trace look at: to fill it takes half a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crypto_pipeline.lake.location import Lake
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.books.market import filled
from crypto_pipeline_tests.topics import reading_from_now

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="package")
def books(
    spark: SparkSession, servers: Settings, tmp_path_factory: pytest.TempPathFactory
) -> StageRunner:
    """Only to be read; what changes it takes a copy."""
    root = tmp_path_factory.mktemp("books") / "lake"
    runner = reading_from_now(Lake(spark=spark, root=str(root), market="simulated"), servers)
    filled(runner, servers)
    return runner
