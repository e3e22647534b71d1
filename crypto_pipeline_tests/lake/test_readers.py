"""What Spark wrote opens in DuckDB, Polars and deltalake with the types that the schema says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import types as T

from crypto_pipeline.bronze.schema import POLLS
from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.table import Table
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.silver.schema import TICKS
from crypto_pipeline_tests.builders import frame

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

# Between them they have every type that any table has; a test of its own says so.
TABLES = (RECORDS, POLLS, TICKS, VOLATILITY)
MOMENT = datetime(2026, 11, 23, 23, 59, 59, 123456, tzinfo=UTC)
HEADERS = "array<struct<key:string,value:binary>>"
VALUES: dict[str, Any] = {
    "string": "Ω-USDT",
    "bigint": 2**62,
    "int": -7,
    "double": 0.1,
    "boolean": True,
    "binary": b"\x00\xff",
    "date": date(2026, 11, 23),
    "timestamp": MOMENT,
    "decimal(38,18)": Decimal("12345678901234567890.123456789012345678"),
    "array<string>": ["BTC-USDT", "ETH-USDT"],
    HEADERS: [("k", b"v")],
}
MOMENTS = pa.timestamp("us", tz="UTC")
ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "int": pa.int32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": MOMENTS,
    "decimal(38,18)": pa.decimal128(38, 18),
}
DUCK = {
    "string": "VARCHAR",
    "bigint": "BIGINT",
    "int": "INTEGER",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "decimal(38,18)": "DECIMAL(38,18)",
    "array<string>": "VARCHAR[]",
    HEADERS: 'STRUCT("key" VARCHAR, "value" BLOB)[]',
}
POLARS: dict[str, Any] = {
    "string": pl.String,
    "bigint": pl.Int64,
    "int": pl.Int32,
    "double": pl.Float64,
    "boolean": pl.Boolean,
    "binary": pl.Binary,
    "date": pl.Date,
    "timestamp": pl.Datetime("us", "UTC"),
    "decimal(38,18)": pl.Decimal(38, 18),
    "array<string>": pl.List(pl.String),
    HEADERS: pl.List(pl.Struct({"key": pl.String, "value": pl.Binary})),
}


@pytest.fixture(scope="module")
def written(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """One row in each table, without a null."""
    lake = Lake(spark=spark, root=str(tmp_path_factory.mktemp("readers")), market="simulated")
    for table in TABLES:
        lake.ensure(table)
        row = {f.name: VALUES[f.dataType.simpleString()] for f in table.schema.fields}
        frame(spark, table, [row]).write.format("delta").mode("append").save(lake.path(table))
    return lake


def kinds(table: Table) -> dict[str, str]:
    return {f.name: f.dataType.simpleString() for f in table.schema.fields}


def expected(table: Table) -> dict[str, Any]:
    nested = {HEADERS: [{"key": "k", "value": b"v"}]}
    return {name: nested.get(kind, VALUES[kind]) for name, kind in kinds(table).items()}


def test_these_tables_have_every_type_that_there_is() -> None:
    from crypto_pipeline.stages import TABLES as ALL

    seen = {kind for table in TABLES for kind in kinds(table).values()}
    assert {kind for table in ALL for kind in kinds(table).values()} == seen
    assert not any(isinstance(f.dataType, T.TimestampNTZType) for t in ALL for f in t.schema.fields)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.key)
def test_deltalake_opens_it(written: Lake, table: Table) -> None:
    found = DeltaTable(written.path(table)).to_pyarrow_table()
    for name, kind in kinds(table).items():
        if kind in ARROW:
            assert found.schema.field(name).type == ARROW[kind], name
    assert found.select(list(table.columns)).to_pylist() == [expected(table)]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.key)
def test_duckdb_opens_it(written: Lake, table: Table) -> None:
    """Through deltalake's dataset: DuckDB's own extension is a download of its own."""
    rows = DeltaTable(written.path(table)).to_pyarrow_dataset()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        relation = connection.from_arrow(rows)
        found = dict(zip(relation.columns, map(str, relation.types), strict=True))
        values = dict(zip(relation.columns, relation.fetchall()[0], strict=True))
    assert {name: found[name] for name in table.columns} == {
        name: DUCK[kind] for name, kind in kinds(table).items()
    }
    assert {name: values[name] for name in table.columns} == expected(table)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.key)
def test_polars_opens_it(written: Lake, table: Table) -> None:
    found = pl.read_delta(written.path(table)).select(table.columns)
    assert dict(found.schema) == {name: POLARS[kind] for name, kind in kinds(table).items()}
    assert found.to_dicts() == [expected(table)]
