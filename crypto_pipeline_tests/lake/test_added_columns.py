"""A column that came later is added to an older table; its old rows are read as before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pyspark.sql.types import LongType, StructType

from crypto_pipeline.errors import SchemaDriftError
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.table import BATCH, column
from crypto_pipeline.stages import PREDICTIONS
from crypto_pipeline_tests.builders import AT, put, read

pytestmark = pytest.mark.spark

OLD = PREDICTIONS.primary


def test_a_later_column_is_added_and_real_drift_is_refused(lake: Lake) -> None:
    fields = [f for f in OLD.schema.fields if f is not BATCH]
    later = column("later", LongType(), "Came later", added=True)
    newer = replace(OLD, schema=StructType([*fields, later, BATCH]))
    row = {"source": "s", "symbol": "A-USDT", "variance": 0.5, "origin_at": AT, "date": AT.date()}
    put(lake, PREDICTIONS, {OLD: [row]})
    lake.ensure(newer)
    lake.ensure(newer)
    put(lake, replace(PREDICTIONS, primary=newer), {newer: [{**row, "later": 7}]}, batch=2)
    found = read(lake.read(newer), "batch", "later", "variance", order=("batch",))
    assert [(r["batch"], r["later"], r["variance"]) for r in found] == [(1, None, 0.5), (2, 7, 0.5)]

    strange = column("strange", LongType(), "Was always there")
    with pytest.raises(SchemaDriftError, match="missing column strange"):
        lake.ensure(replace(OLD, schema=StructType([*fields, later, strange, BATCH])))
    with pytest.raises(SchemaDriftError, match="unexpected column later"):
        lake.ensure(OLD)
