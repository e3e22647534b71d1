"""What travels: stable ids, plain decimals, the same value after a round trip, a schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import jsonschema
import pytest

from crypto_pipeline.contract import json_schema
from crypto_pipeline.contract.message import fact_id, format_time, parse_time
from crypto_pipeline.contract.poll import BODY_LIMIT
from crypto_pipeline.contract.report import HorizonReport, ModelScore
from crypto_pipeline.contract.tick import plain
from crypto_pipeline_tests.builders import AT, MINUTE, candle, poll, rejected, tick

KINDS: list[tuple[Callable[..., Any], Callable[[], dict[str, Any]]]] = [
    (tick, json_schema.tick_schema),
    (candle, json_schema.candle_schema),
    (poll, json_schema.poll_schema),
    (rejected, json_schema.rejected_schema),
]


def test_a_tick_is_the_same_fact_whatever_it_says() -> None:
    assert tick().id == tick(price=Decimal(1), observed_at=AT + MINUTE, mark="x").id
    others = [
        tick(poll_at=AT + MINUTE),
        tick(symbol="ETH-USDT"),
        tick(source="simulator:binance:8"),
    ]
    assert len({tick().id, *(other.id for other in others)}) == 4


def test_a_candle_with_other_values_is_another_fact() -> None:
    assert candle().id == candle(observed_at=AT + MINUTE, trades=9, record="").id
    for name in ("open", "high", "low", "close", "volume"):
        assert candle(**{name: Decimal("67010.5")}).id != candle().id


def test_zeros_at_the_end_do_not_make_another_candle() -> None:
    assert candle(close=Decimal("67010.000")).id == candle(close=Decimal("6.7010E+4")).id


def test_ids_do_not_change_between_versions() -> None:
    assert tick().id == fact_id(
        "tick", "simulator:binance:7", "BTC-USDT", "2026-11-23T10:05:00.000000Z"
    )
    assert fact_id("a", "bc") != fact_id("ab", "c")
    assert fact_id("tick", "binance", "BTC-USDT", "2026-11-23T10:05:00.000000Z")[:12] == (
        "6d388ee861f5"
    )


def test_a_time_of_any_zone_is_the_same_instant() -> None:
    east = timezone(timedelta(hours=9))
    assert tick(poll_at=AT.astimezone(east)).id == tick().id
    assert format_time(AT.astimezone(east)) == "2026-11-23T10:05:00.000000Z"
    assert parse_time(format_time(AT)) == AT
    assert parse_time("2026-11-23T19:05:00+09:00") == AT


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        format_time(datetime(2026, 11, 23))  # noqa: DTZ001
    with pytest.raises(ValueError, match="no time zone"):
        parse_time("2026-11-23T10:05:00")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1e-18", "0.000000000000000001"),
        ("6.14e-06", "0.00000614"),
        ("1E+18", "1000000000000000000"),
        ("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"),
        ("0.10", "0.10"),
        ("-0.5", "-0.5"),
    ],
)
def test_decimals_travel_plain_and_whole(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text
    assert Decimal(text) == Decimal(number)
    payload = json.loads(tick(price=Decimal(number)).encode())
    assert payload["price"] == text


def test_no_decimal_is_no_text() -> None:
    assert plain(None) is None


@pytest.mark.parametrize(("make", "schema"), KINDS)
def test_an_encoded_record_is_its_payload_and_fits_its_schema(
    make: Callable[..., Any], schema: Callable[[], dict[str, Any]]
) -> None:
    record = make()
    payload = json.loads(record.encode())
    assert payload == json.loads(json.dumps(record.payload()))
    assert payload["id"] == record.id
    declared = schema()
    jsonschema.Draft202012Validator.check_schema(declared)
    jsonschema.validate(payload, declared)
    assert set(declared["properties"]) == set(payload)
    jsonschema.validate({**payload, "added_later": 1}, declared)


@pytest.mark.parametrize(("make", "schema"), KINDS)
def test_the_schema_refuses_a_record_without_a_field_or_of_another_kind(
    make: Callable[..., Any], schema: Callable[[], dict[str, Any]]
) -> None:
    payload = make().payload()
    for name in schema()["required"]:
        broken = {key: value for key, value in payload.items() if key != name}
        with pytest.raises(jsonschema.ValidationError, match=name):
            jsonschema.validate(broken, schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**payload, "kind": "other"}, schema())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("price", 67012.01),
        ("price", "6.7e4"),
        ("price", None),
        ("poll_at", "2026-11-23 10:05"),
        ("symbol", "BTCUSDT"),
        ("market", "paper"),
        ("trades_24h", -1),
    ],
)
def test_the_schema_refuses_a_value_that_bronze_would_reject(name: str, value: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**tick().payload(), name: value}, json_schema.tick_schema())


def broken(payload: object, schema: dict[str, Any]) -> list[str]:
    """What of a schema a record does not keep, in words."""
    found = jsonschema.validators.validator_for(schema)(schema).iter_errors(payload)
    return [error.message for error in found]


def test_fields_without_a_value_fit_the_schema() -> None:
    bare = tick(
        bid=None, ask=None, bid_size=None, ask_size=None, open_24h=None, high_24h=None,
        low_24h=None, volume_24h=None, quote_volume_24h=None, market_cap=None,
        trades_24h=None, mark=None,
    )  # fmt: skip
    assert broken(json.loads(bare.encode()), json_schema.tick_schema()) == []
    bar = candle(quote_volume=None, trades=None)
    assert broken(json.loads(bar.encode()), json_schema.candle_schema()) == []


def test_a_long_body_is_cut_and_said_so_and_keeps_its_id() -> None:
    long = rejected(body="x" * (BODY_LIMIT + 1))
    payload = long.payload()
    assert payload["is_cut"]
    assert len(payload["body"]) == BODY_LIMIT
    assert not rejected(body="x" * BODY_LIMIT).payload()["is_cut"]
    jsonschema.validate(payload, json_schema.rejected_schema())
    assert long.id != rejected(body="x" * BODY_LIMIT).id


def test_equal_rows_of_one_poll_have_ids_of_their_own() -> None:
    ids = {rejected(copy=number).id for number in range(3)}
    assert len(ids) == 3
    assert rejected(copy=0).id == rejected().id


def test_records_of_before_the_later_fields_still_fit() -> None:
    old = {k: v for k, v in tick().payload().items() if k != "market_cap"}
    assert broken(old, json_schema.tick_schema()) == []
    later = ("venue_reason", "newest_event_at")
    old = {k: v for k, v in poll().payload().items() if k not in later}
    assert broken(old, json_schema.poll_schema()) == []


def test_letters_of_any_alphabet_survive() -> None:
    word = "\u5e01\u5b89 \U0001f680"
    assert json.loads(rejected(body=word).encode())["body"] == word


def test_a_revision_in_the_last_digit_has_an_id_of_its_own() -> None:
    first, second = (
        candle(high=Decimal(f"12345678901234567890.12345678901234567{digit}")) for digit in (1, 2)
    )
    assert first.id != second.id


def test_the_report_of_the_forecasts_has_a_schema() -> None:
    score: ModelScore = {
        "model": "blend",
        "origins": 5760,
        "qlike": 0.5,
        "median_qlike": 0.3,
        "mse_log": 0.9,
        "pinball": None,
        "coverage": 0.9,
        "dm_statistic": -4.0,
        "p_value": 0.0001,
    }
    horizon: HorizonReport = {
        "horizon_minutes": 5,
        "served": "ewma",
        "model_version": None,
        "champion": None,
        "baseline": "ewma",
        "reason": "Nothing has beaten ewma yet.",
        "trained_through": format_time(AT),
        "window_from": None,
        "window_through": None,
        "scores": [score],
        "live_from": None,
        "live_through": None,
        "live": [],
        "drift": "unknown",
        "drift_reason": "",
    }
    schema = json_schema.horizons_schema()
    jsonschema.validate([horizon], schema)
    for broken in ({**horizon, "drift": "maybe"}, {**horizon, "scores": [{"model": "x"}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate([broken], schema)
