"""Small builders for the tests of the lake: contract values and table rows with defaults."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pyspark.sql import functions as F
from pyspark.sql.types import TimestampType

from crypto_pipeline.contract import topic
from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import PollRecord, Rejected
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.lake.commit import Write, commit
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.lake.table import Table
from crypto_pipeline.stage import Stage, StageInput

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

AT = datetime(2026, 11, 23, 10, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SOURCE = "simulator:binance:7"
BTC = "BTC-USDT"
ETH = "ETH-USDT"

Row = dict[str, Any]


def tick(**changes: Any) -> Tick:
    values: Row = {
        "market": "simulated",
        "source": SOURCE,
        "venue": "binance",
        "symbol": BTC,
        "poll_at": AT,
        "event_at": None,
        "price": Decimal("67012.01"),
        "bid": Decimal("67012.00"),
        "ask": Decimal("67012.02"),
        "bid_size": Decimal("1.2"),
        "ask_size": Decimal("0.4"),
        "open_24h": Decimal("66500"),
        "high_24h": Decimal("67400"),
        "low_24h": Decimal("66100.5"),
        "volume_24h": Decimal("21034.112"),
        "quote_volume_24h": Decimal("1404519034.12"),
        "market_cap": None,
        "trades_24h": 90210,
        "mark": "90210",
        "is_unchanged": False,
        "endpoint": "/api/v3/ticker/24hr",
        "record": '{"symbol":"BTCUSDT"}',
        **changes,
    }
    values.setdefault("observed_at", values["poll_at"] + timedelta(seconds=1))
    return Tick(**values)


def candle(**changes: Any) -> Candle:
    values: Row = {
        "market": "simulated",
        "source": SOURCE,
        "venue": "binance",
        "symbol": BTC,
        "open_at": AT - MINUTE,
        "event_at": None,
        "open": Decimal("67000"),
        "high": Decimal("67020"),
        "low": Decimal("66990"),
        "close": Decimal("67010"),
        "volume": Decimal("12.5"),
        "quote_volume": Decimal("837500"),
        "trades": 321,
        "is_backfill": False,
        "endpoint": "/api/v3/klines",
        "record": "[1]",
        **changes,
    }
    values.setdefault("observed_at", values["open_at"] + timedelta(seconds=62))
    return Candle(**values)


def poll(**changes: Any) -> PollRecord:
    values: Row = {
        "market": "simulated",
        "source": SOURCE,
        "venue": "binance",
        "poll_at": AT,
        "started_at": AT + timedelta(seconds=5),
        "ended_at": AT + timedelta(seconds=6),
        "endpoint": "/api/v3/ticker/24hr",
        "purpose": "minute",
        "outcome": "ok",
        "reason": None,
        "symbols_asked": (BTC, ETH),
        "served": 2,
        "published": 2,
        "unchanged": 0,
        "rejected": 0,
        "candles": 2,
        "budget_used": 80,
        **changes,
    }
    return PollRecord(**values)


def rejected(**changes: Any) -> Rejected:
    values: Row = {
        "market": "simulated",
        "source": SOURCE,
        "venue": "binance",
        "poll_at": AT,
        "observed_at": AT + timedelta(seconds=1),
        "endpoint": "/api/v3/ticker/24hr",
        "reason": "not_a_row",
        "detail": "the row has no price",
        "body": '{"symbol":"BTCUSDT"}',
        **changes,
    }
    return Rejected(**values)


def raw_row(value: bytes | None, *, name: str = topic.TICKS.name, offset: int = 0) -> Row:
    """A row of raw/records as the broker had it two seconds after `AT`."""
    return {
        "topic": name,
        "epoch": 0,
        "partition": 0,
        "offset": offset,
        "broker_at": AT + timedelta(seconds=2, milliseconds=offset),
        "key": b"k",
        "value": value,
        "ingested_at": AT + timedelta(seconds=3),
        "date": AT.date(),
        "batch": 1,
    }


def raw_rows(*facts: Tick | Candle | PollRecord | Rejected) -> list[Row]:
    """Contract values as the rows that raw has of them, each on its topic, in order."""
    names = {
        Tick: topic.TICKS.name,
        Candle: topic.CANDLES.name,
        PollRecord: topic.POLLS.name,
        Rejected: topic.REJECTED.name,
    }
    return [
        raw_row(fact.encode(), name=names[type(fact)], offset=offset)
        for offset, fact in enumerate(facts)
    ]


def gold_candle(minute_at: datetime = AT, close: float | str = "100", **changes: Any) -> Row:
    """A row of gold/candles_1m; open, high and low are the close unless they are given."""
    price = Decimal(str(close))
    return {
        "source": SOURCE,
        "symbol": BTC,
        "minute_at": minute_at,
        "open": price,
        "high": price,
        "low": price,
        "close": price,
        "volume": Decimal(1),
        "trades": 1,
        "origin": "exchange",
        "revisions": 1,
        "observed_at": minute_at + timedelta(seconds=62),
        "fact_id": uuid4().hex,
        "date": minute_at.date(),
        "batch": 1,
        **changes,
    }


def frame(spark: SparkSession, table: Table, rows: Sequence[Row]) -> DataFrame:
    """Rows as a frame with the table's schema; a column that a row leaves out is null."""
    unknown = {name for row in rows for name in row} - set(table.columns)
    assert not unknown, f"{table.key} has no columns {sorted(unknown)}"
    return spark.createDataFrame(
        [tuple(row.get(name) for name in table.columns) for row in rows], table.schema
    )


def read(rows: DataFrame, *columns: str, order: Sequence[str] = ()) -> list[Row]:
    """Collect as dicts; times as ISO-8601 UTC text, so that no local time zone plays a part."""
    names = columns or rows.columns
    times = {f.name for f in rows.schema.fields if isinstance(f.dataType, TimestampType)}
    text = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"
    sorted_rows = rows.orderBy(*order) if order else rows
    picked = [F.date_format(n, text).alias(n) if n in times else F.col(n) for n in names]
    return [row.asDict() for row in sorted_rows.select(*picked).collect()]


@dataclass(frozen=True)
class Given:
    """Makes a `StageInput` out of plain rows: what is new and what is known."""

    spark: SparkSession

    def __call__(
        self,
        *,
        new: Mapping[Table, Sequence[Row]],
        known: Mapping[Table, Sequence[Row]] | None = None,
        batch: int = 2,
        before: Mapping[Table, datetime] | None = None,
        last: Mapping[Table, Mapping[str, Any]] | None = None,
    ) -> StageInput:
        earlier = {table.key: rows for table, rows in (known or {}).items()}
        facts = [row[table.fact_column] for table, rows in new.items() for row in rows]

        def read_known(
            table: Table,
            *,
            since: datetime | None = None,
            until: datetime | None = None,
            columns: Collection[str] | None = None,
        ) -> DataFrame:
            rows = frame(self.spark, table, earlier.get(table.key, []))
            if columns is not None:
                named = {*columns, table.fact_column, "date", "batch"}
                rows = rows.select(*(name for name in table.columns if name in named))
            if since is not None:
                rows = rows.where(F.col(table.fact_column) >= F.lit(since))
            return rows if until is None else rows.where(F.col(table.fact_column) <= F.lit(until))

        return StageInput(
            market="simulated",
            batch=batch,
            epoch=0,
            now=AT + timedelta(seconds=10),
            new={table.key: frame(self.spark, table, rows) for table, rows in new.items()},
            known=read_known,
            last=(last or {}).get,
            span=(min(facts), max(facts)) if facts else None,
            before={table.key: at for table, at in (before or {}).items()},
        )


def put(lake: Lake, stage: Stage, rows: Mapping[Table, Sequence[Row]], *, batch: int = 1) -> None:
    """Commit rows as if a run of the stage had: sides that have rows, then the primary."""
    outputs = {t.key: summary_of(t, rows.get(t, [])) for t in stage.outputs}
    for table in stage.outputs:
        own = [{**row, "batch": batch} for row in rows.get(table, [])]
        lake.ensure(table)
        if not own and table is not stage.primary:
            continue
        record = CommitRecord(
            stage=stage.name,
            batch=batch,
            write_id=str(uuid4()),
            ranges={"batches": {"to": batch}, "pinned": {}},
            counts={"in": len(own)},
            outputs=outputs,
            code_version="test",
        )
        written = frame(lake.spark, table, own)
        commit(Write(path=lake.path(table), rows=written, row_count=len(own)), record)


def summary_of(table: Table, rows: Sequence[Row]) -> list[Any]:
    """Number of rows, first and last fact time in epoch seconds, as a commit says it."""
    times = [row[table.fact_column].timestamp() for row in rows]
    return [len(rows), min(times, default=None), max(times, default=None)]


def day_of(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
