"""Every record lands in exactly one table, typed to the last digit or rejected with a reason."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from crypto_pipeline.bronze import transform
from crypto_pipeline.bronze.schema import CANDLES, POLLS, REJECTED, TICKS
from crypto_pipeline.contract import topic
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline_tests.builders import (
    AT,
    Given,
    Row,
    candle,
    poll,
    raw_row,
    raw_rows,
    read,
    rejected,
    tick,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

TABLES = (TICKS, CANDLES, POLLS, REJECTED)
MISSING = object()
NOWHERE = "reason"

BODY_OF = {
    "tick": (topic.TICKS.name, tick().payload()),
    "candle": (topic.CANDLES.name, candle().payload()),
    "poll": (topic.POLLS.name, poll().payload()),
    "rejected": (topic.REJECTED.name, rejected().payload()),
}


def changed(kind: str, /, **changes: Any) -> tuple[str, bytes]:
    """A good record of a kind with fields changed, or left out when MISSING."""
    name, payload = BODY_OF[kind]
    values = {k: v for k, v in {**payload, **changes}.items() if v is not MISSING}
    return name, json.dumps(values).encode()


def bytes_on(name: str, value: bytes | None) -> tuple[str, bytes | None]:
    return name, value


TICK = topic.TICKS.name
BROKEN: list[tuple[str, tuple[str, bytes | None]]] = [
    ("not_json", (TICK, b"")),
    ("not_json", (TICK, None)),
    ("not_json", (TICK, b"hello")),
    ("not_json", (TICK, b'"text"')),
    ("not_json", (TICK, b"12")),
    ("not_json", (TICK, b"null")),
    ("not_json", (TICK, b"{}")),
    ("not_json", (TICK, b"\xff\xfe\x00\x80")),
    ("not_json", (TICK, tick().encode()[:-40])),
    ("not_json", (TICK, b"[" + tick().encode() + b"]")),
    ("not_json", (TICK, b"[" + tick().encode() + b"," + candle().encode() + b"]")),
    ("not_json", (TICK, b"[" * 5000)),
    ("not_json", (TICK, b'{"a":' * 3000 + b"1" + b"}" * 3000)),
    ("not_json", (topic.REJECTED.name, b"<html>")),
    ("unknown_kind", changed("tick", kind="trade")),
    ("unknown_kind", changed("tick", kind=MISSING)),
    ("unknown_kind", (TICK, candle().encode())),
    ("unknown_kind", (topic.CANDLES.name, tick().encode())),
    ("schema_version", changed("tick", schema_version=2)),
    ("schema_version", changed("tick", schema_version=0)),
    ("schema_version", changed("tick", schema_version=MISSING)),
    ("schema_version", changed("tick", schema_version="one")),
    ("schema_version", changed("tick", schema_version=10**12)),
    ("schema_version", changed("poll", schema_version=10**30)),
    ("other_market", changed("tick", market="live")),
    ("other_market", changed("candle", market=None)),
    ("other_market", changed("poll", market="recorded")),
    ("missing_field", changed("tick", id=None)),
    ("missing_field", changed("tick", source=MISSING)),
    ("missing_field", changed("tick", symbol=None)),
    ("missing_field", changed("tick", price=MISSING)),
    ("missing_field", changed("tick", poll_at=None)),
    ("missing_field", changed("tick", observed_at=None)),
    ("missing_field", changed("candle", open_at=None)),
    ("missing_field", changed("candle", close=None)),
    ("missing_field", changed("candle", volume=MISSING)),
    ("missing_field", changed("poll", outcome=None)),
    ("missing_field", changed("poll", poll_at=None)),
    ("bad_symbol", changed("tick", symbol="BTCUSDT")),
    ("bad_symbol", changed("tick", symbol="btc-usdt")),
    ("bad_symbol", changed("tick", symbol="BTC-USDT-PERP")),
    ("bad_symbol", changed("candle", symbol="")),
    ("bad_time", changed("tick", poll_at="yesterday")),
    ("bad_time", changed("tick", poll_at="")),
    ("bad_time", changed("tick", poll_at="2026-11-23")),
    ("bad_time", changed("tick", poll_at="10:05")),
    ("bad_time", changed("tick", poll_at="2026-11-23T10:05:00")),
    ("bad_time", changed("tick", observed_at="2026-13-23T10:05:00Z")),
    ("bad_time", changed("tick", event_at="1795428300000")),
    ("bad_time", changed("tick", poll_at="9999-12-31T23:59:00Z")),
    ("bad_time", changed("tick", poll_at="0001-01-01T00:00:00Z")),
    ("bad_time", changed("tick", poll_at="+52026-11-23T10:05:00Z")),
    ("bad_time", changed("candle", open_at="2026-11-23T10:05:00")),
    ("bad_time", changed("candle", open_at="2026-11-23T10:05:00.500000Z")),
    ("bad_time", changed("candle", open_at="2026-11-23T10:05:30Z")),
    ("bad_time", changed("poll", poll_at="soon")),
    ("bad_time", changed("poll", started_at="soon")),
    ("bad_number", changed("poll", served="many")),
    ("bad_number", changed("poll", budget_used=-1)),
    ("bad_number", changed("tick", price="1,000.5")),
    ("bad_number", changed("tick", price="")),
    ("bad_number", changed("tick", price="NaN")),
    ("bad_number", changed("tick", price="Infinity")),
    ("bad_number", changed("tick", price="6.1e-06")),
    ("bad_number", changed("tick", price="0.1234567890123456789")),
    ("bad_number", changed("tick", price="123456789012345678901")),
    ("bad_number", changed("tick", bid="67012.00 USDT")),
    ("bad_number", changed("tick", trades_24h="many")),
    ("bad_number", changed("tick", trades_24h=1.5)),
    ("bad_number", changed("candle", high="0x10")),
    ("bad_number", changed("candle", quote_volume="1e3")),
    ("not_positive", changed("tick", price="0")),
    ("not_positive", changed("tick", price="-0.000000000000000001")),
    ("not_positive", changed("candle", low="0.0")),
    ("not_positive", changed("candle", volume="-1")),
    ("crossed", changed("tick", bid="67012.03")),
    ("crossed", changed("candle", high="67009")),
    ("crossed", changed("candle", low="67001")),
    ("crossed", changed("candle", high="66000")),
    ("not_a_row", changed("rejected")),
    ("missing_field", changed("rejected", reason=None)),
    ("unknown_kind", changed("rejected", kind="tick", reason=MISSING)),
]
GOOD: list[tuple[str, tuple[str, bytes]]] = [
    ("tick", changed("tick", added_later={"a": [1]}, kind_of="new")),
    ("tick", changed("tick", bid=None, ask=None, mark=None, trades_24h=None)),
    ("tick", changed("tick", poll_at="2026-11-23T19:05:00+09:00")),
    ("tick", changed("tick", event_at="2026-11-23T10:04:59.123456789Z")),
    ("tick", changed("tick", bid="67012.02")),
    ("tick", changed("tick", price="1000000000000000000")),
    ("tick", changed("tick", price="0.000000000001")),
    ("tick", changed("tick", price="0.123456789012345678000")),
    ("tick", changed("tick", record="9" * 5000)),
    ("candle", changed("candle", volume="0", trades=0)),
    ("candle", changed("candle", high="67010", low="67000", close="67010")),
    ("candle", changed("candle", quote_volume=None, is_backfill=True)),
    ("poll", changed("poll", outcome="partial", reason="half a body")),
    ("poll", changed("poll", symbols_asked=[])),
]


def bronze(spark: SparkSession, records: list[Row]) -> dict[str, list[Row]]:
    result = transform.run(Given(spark)(new={RECORDS: records}))
    found = {table.key: read(result.outputs[table.key]) for table in TABLES}
    for cached in result.cached:
        cached.unpersist()
    return found


def test_each_broken_record_is_rejected_with_its_reason_bytes_and_place(
    spark: SparkSession,
) -> None:
    records = [
        raw_row(value, name=name, offset=offset) for offset, (_, (name, value)) in enumerate(BROKEN)
    ]
    found = bronze(spark, records)
    kept = {row["offset"]: row for row in found[REJECTED.key]}
    wrong = {
        offset: (reason, kept.get(offset, {}).get(NOWHERE), value)
        for offset, (reason, (_, value)) in enumerate(BROKEN)
        if kept.get(offset, {}).get(NOWHERE) != reason
    }
    assert wrong == {}
    assert [found[table.key] for table in TABLES[:3]] == [[], [], []]
    for offset, record in enumerate(records):
        value = kept[offset]["value"]
        assert (None if value is None else bytes(value)) == record["value"]
        assert kept[offset]["topic"] == record["topic"]
        assert kept[offset]["rule"]


def test_each_good_record_lands_in_the_table_of_its_kind_and_nowhere_else(
    spark: SparkSession,
) -> None:
    records = [
        raw_row(value, name=name, offset=offset) for offset, (_, (name, value)) in enumerate(GOOD)
    ]
    found = bronze(spark, records)
    places = {(table, row["offset"]) for table, rows in found.items() for row in rows}
    assert places == {(f"bronze/{kind}s", n) for n, (kind, _) in enumerate(GOOD)}
    assert found[REJECTED.key] == []


def test_a_changed_type_is_refused_by_the_name_of_its_field(spark: SparkSession) -> None:
    wrong = {
        "price": changed("tick", price={"amount": "67012.01", "unit": "USDT"}),
        "trades_24h": changed("tick", trades_24h=[1]),
        "event_at": changed("tick", event_at=1795428300000),
        "volume": changed("candle", volume=True),
    }
    records = [
        raw_row(value, name=name, offset=n) for n, (name, value) in enumerate(wrong.values())
    ]
    kept = {row["offset"]: row["rule"] for row in bronze(spark, records)[REJECTED.key]}
    assert [kept[n].rsplit(": ", 1)[1] for n in range(len(wrong))] == list(wrong)


def test_a_new_optional_field_changes_nothing(spark: SparkSession) -> None:
    records = [
        raw_row(tick().encode(), offset=0),
        raw_row(changed("tick", funding={"rate": [1, "2"]}, venue_note="x")[1], offset=0),
    ]
    plain, newer = (bronze(spark, [record])[TICKS.key] for record in records)
    assert len(plain) == 1
    assert newer == plain


def test_a_source_names_its_own_reason(spark: SparkSession) -> None:
    found = bronze(spark, raw_rows(rejected(reason="bad_number", detail="says so")))
    row = found[REJECTED.key][0]
    assert (row["reason"], row["rule"], row["source"]) == (
        "bad_number",
        "says so",
        "simulator:binance:7",
    )


PRICES = (
    "0.000000000001",
    "0.000000000000000001",
    "1000000000000000000",
    "12345678901234567890.123456789012345678",
    "67012.01",
    "0.1",
    "100.10",
)


def test_a_price_is_in_the_table_as_it_was_written(spark: SparkSession) -> None:
    facts = [
        tick(price=Decimal(text), bid=None, ask=None, poll_at=AT + timedelta(minutes=n))
        for n, text in enumerate(PRICES)
    ]
    rows = sorted(bronze(spark, raw_rows(*facts))[TICKS.key], key=lambda row: row["offset"])
    assert [row["price"] for row in rows] == [Decimal(text) for text in PRICES]


def test_all_fields_come_through_with_their_types(spark: SparkSession) -> None:
    at = AT + timedelta(microseconds=123_456)
    facts = (tick(event_at=at), candle(event_at=at, is_backfill=True), poll(reason="r"))
    found = bronze(spark, raw_rows(*facts))
    for fact, table in zip(facts, TABLES[:3], strict=True):
        (row,) = found[table.key]
        payload = fact.payload()
        for name in set(payload) & set(row):
            value = payload[name]
            if isinstance(row[name], Decimal):
                value = Decimal(value)
            assert row[name] == value, name
        assert row["date"] == AT.date()
        assert row["batch"] == 2


def test_the_hash_is_of_the_fact_and_not_of_who_saw_it_when(spark: SparkSession) -> None:
    same = tick(observed_at=AT + timedelta(seconds=30), record="other words", endpoint="/other")
    other = tick(price=Decimal("67012.02"))
    rows = bronze(spark, raw_rows(tick(), same, other))[TICKS.key]
    by_offset = {row["offset"]: row["content_hash"] for row in rows}
    assert by_offset[0] == by_offset[1]
    assert by_offset[0] != by_offset[2]
