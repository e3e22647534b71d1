"""Fits, scores and decisions are refused as a stage's rows are, once another has the lake."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from pyspark.sql import SparkSession

from crypto_pipeline.errors import LeaseHeldError
from crypto_pipeline.lake.append import append
from crypto_pipeline.lake.lease import FOLDER, file_name
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.predictions.schema import MODELS


def test_a_server_whose_lease_was_taken_over_appends_nothing(tmp_path: Path) -> None:
    """Nothing is asked of Spark, so there is none."""
    lake = Lake(cast(SparkSession, None), str(tmp_path), "simulated", lease_epoch=1)
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / file_name(2)).touch()
    with pytest.raises(LeaseHeldError, match="The lease 1 of this Spark server was taken over"):
        append(lake, MODELS, [], stage="training", last=None, ranges={}, counts={"fits": 0})
    assert not (tmp_path / MODELS.key).exists()
