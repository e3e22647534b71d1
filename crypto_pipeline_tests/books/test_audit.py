"""The audit finds nothing in a sound lake, and names each row that was tampered with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from deltalake import DeltaTable, write_deltalake

from crypto_pipeline.audit.command import summary
from crypto_pipeline.audit.run import Audit, audit
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline_tests.books.market import copied
from crypto_pipeline_tests.builders import BTC, ETH

pytestmark = [pytest.mark.spark, pytest.mark.integration, pytest.mark.timeout(600)]

Row = dict[str, Any]


def named(found: Audit) -> set[tuple[str, str]]:
    return {(one.table, one.what) for one in found.differences}


def at(minute: int) -> datetime:
    return datetime(2026, 11, 23, 10, minute, tzinfo=UTC)


def is_of(symbol: str, **values: object) -> Callable[[Row], bool]:
    wanted = {"symbol": symbol, **values}
    return lambda row: all(row[name] == value for name, value in wanted.items())


def is_because(reason: str) -> Callable[[Row], bool]:
    return lambda row: row["reason"] == reason


# No row of one layer follows from one that is tampered with in another.
DROPPED: dict[str, Callable[[Row], bool]] = {
    "raw/records": lambda row: row["topic"] == "market.polls" and b"10:06:00" in row["value"],
    "bronze/candles": is_of(BTC, open_at=at(4)),
    "bronze/rejected": is_because("not_json"),
    "silver/ticks": is_of(ETH, poll_at=at(5)),
    "silver/set_aside": is_because("too_late"),
    "gold/candles_1m": is_of(ETH, minute_at=at(5)),
    "gold/volatility": is_of(ETH, minute_at=at(4)),
    "gold/market_summary": is_of(ETH),
    "predictions/forecasts": is_of(ETH, origin_at=at(5)),
}
DOUBLED: dict[str, Callable[[Row], bool]] = {
    "raw/records": lambda row: row["value"] == b"not a record",
    "bronze/ticks": is_of(BTC, poll_at=at(5)),
    "silver/candles": is_of(ETH, open_at=at(4)),
    "silver/set_aside": is_because("conflict"),
    "gold/candles_1m": is_of(BTC, minute_at=at(4)),
    "gold/volatility": is_of(BTC, minute_at=at(4)),
    "gold/market_summary": is_of(BTC),
    "predictions/forecasts": is_of(ETH, origin_at=at(11)),
}


@contextmanager
def opened(lake: Lake, key: str) -> Iterator[list[Row]]:
    """A table's rows, to be changed and put back: past Spark, by one commit without a range."""
    table = DeltaTable(f"{lake.root}/{key}")
    held = table.to_pyarrow_table()
    rows = held.to_pylist()
    yield rows
    write_deltalake(table, pyarrow.Table.from_pylist(rows, schema=held.schema), mode="overwrite")


def the_first(rows: list[Row], is_meant: Callable[[Row], bool]) -> Row:
    return next(row for row in rows if is_meant(row))


def tamper(lake: Lake) -> None:
    """Drop, double and reclassify rows in each layer."""
    for key in DROPPED.keys() | DOUBLED.keys():
        with opened(lake, key) as rows:
            dropped = the_first(rows, DROPPED[key]) if key in DROPPED else None
            doubled = the_first(rows, DOUBLED[key]) if key in DOUBLED else None
            rows[:] = [row for row in rows if row is not dropped]
            rows.extend([dict(doubled)] if doubled else [])
    candles = DeltaTable(f"{lake.root}/bronze/candles").to_pyarrow_table().to_pylist()
    other_topic = the_first(candles, is_of(BTC, open_at=at(5)))
    with opened(lake, "raw/records") as rows:
        where = {name: other_topic[name] for name in ("topic", "partition", "offset")}
        put = the_first(rows, lambda row: where.items() <= row.items())
        # The same offset there may be a tick's: what other tests have sent decides that.
        put |= {"topic": "market.ticks", "offset": put["offset"] + 1_000_000}
    with opened(lake, "bronze/ticks") as rows:
        moved = the_first(rows, is_of(ETH, poll_at=at(6)))
        rows.remove(moved)
    with opened(lake, "bronze/rejected") as rows:
        kept = {name: moved[name] for name in rows[0].keys() & moved.keys()}
        why = {"reason": "bad_number", "detail": "made up", "value": b"x", "value_bytes": 1}
        rows.append(dict.fromkeys(rows[0]) | kept | why)
    with opened(lake, "silver/set_aside") as rows:
        the_first(rows, is_because("duplicate"))["reason"] = "conflict"
    with opened(lake, "gold/candles_1m") as rows:
        the_first(rows, is_of(BTC, minute_at=at(6)))["origin"] = "sampled"
    with opened(lake, "gold/volatility") as rows:
        the_first(rows, is_of(BTC, minute_at=at(5)))["ewma"] *= 1.00001
    with opened(lake, "predictions/forecasts") as rows:
        for row in filter(is_of(BTC, is_served=False, horizon_minutes=5), rows):
            row |= {"is_served": True, "model_version": "another"}


def test_each_tampered_row_is_named(books: StageRunner, tmp_path: Path) -> None:
    """One lake for all of it: one for each layer would take minutes. What a sound lake's audit
    says is asked of one that was rebuilt (`test_rebuild.py`).
    """
    lake = copied(books, tmp_path / "lake").lake
    tamper(lake)
    found = audit(lake)
    assert not found.is_clean
    assert "raw/records" in summary(found)
    reason = {"silver/set_aside": "too_late"}
    recounted = DROPPED.keys() - {"predictions/forecasts"}
    assert {(k, f"missing ({reason[k]})" if k in reason else "missing") for k in recounted} | {
        (k, "doubled (conflict)" if k in reason else "doubled") for k in DOUBLED
    } | {
        ("silver/candles", "id twice"),
        ("bronze/candles", "unexpected"),
        ("bronze/ticks", "missing"),
        ("bronze/rejected", "unexpected"),
        ("silver/set_aside", "missing (duplicate)"),
        ("silver/set_aside", "unexpected (conflict)"),
        ("gold/candles_1m", "altered"),
        ("gold/volatility", "altered (ewma)"),
        ("predictions/forecasts", "not what the commit counts"),
        ("predictions/forecasts", "altered (id)"),
        ("predictions/forecasts", "two are served"),
    } <= named(found)
    # The record that was put on another topic: nothing else of this one was touched.
    assert any(
        d.table == "raw/records" and "market.candles" in d.example for d in found.differences
    )
