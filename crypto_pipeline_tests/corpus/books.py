"""The books of one body: each row is one fact with the row's own digits, or one rejected row."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import jsonschema

from crypto_pipeline.contract import json_schema
from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.message import format_optional_time
from crypto_pipeline.contract.poll import BODY_LIMIT, Rejected
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline_tests.corpus import minutes, reading
from crypto_pipeline_tests.corpus.reading import Absent, at

CHECKS = {
    "tick": jsonschema.Draft202012Validator(json_schema.tick_schema()),
    "candle": jsonschema.Draft202012Validator(json_schema.candle_schema()),
    "rejected": jsonschema.Draft202012Validator(json_schema.rejected_schema()),
}
# Text of this form is published digit for digit; any other form of a number as its plain form.
PLAIN = re.compile(r"(0|[1-9][0-9]{0,19})(\.[0-9]{1,18})?")
OF_VENUE = {"price", "bid", "ask"}


@dataclass(frozen=True)
class Row:
    """A row of a body: its value, its exact text and, where it has one, the venue's name."""

    value: Any
    text: str
    name: Any = Absent


def check_ticks(
    venue: str,
    rows: Sequence[Row],
    ticks: Sequence[Tick],
    rejected: Sequence[Rejected],
    names: Mapping[str, str],
) -> None:
    """Every row in its order: the next tick, or the next rejected row with a true reason."""
    assert len(rows) == len(ticks) + len(rejected)
    left, refused, seen = list(ticks), list(rejected), set()
    for row in rows:
        wrong = reading.faults(venue, row.name, row.value, names)
        if not wrong and names[row.name] in seen:
            wrong = {"repeated_symbol"}
        if wrong:
            check_rejected(refused.pop(0), wrong, row.text)
        else:
            seen.add(names[row.name])
            tick = left.pop(0)
            assert tick.symbol == names[row.name]
            check_tick(venue, row, tick)
    assert (left, refused) == ([], [])


def check_candles(
    venue: str, rows: Sequence[Row], candles: Sequence[Candle], rejected: Sequence[Rejected]
) -> None:
    assert len(rows) == len(candles) + len(rejected)
    refused, taken = list(rejected), []
    for row in rows:
        wrong = minutes.faults(venue, row.value)
        if wrong:
            check_rejected(refused.pop(0), wrong, row.text)
        else:
            taken.append(row)
    if venue == "coinbase":
        taken.sort(key=lambda row: minutes.open_at(venue, row.value))
    for row, candle in zip(taken, candles, strict=True):
        check_candle(venue, row, candle)


def check_rejected(row: Rejected, reasons: set[str], text: str) -> None:
    assert row.reason in reasons, (row.reason, row.detail, text[:300])
    message = message_of(row)
    assert message["body"] == text[:BODY_LIMIT]
    assert message["is_cut"] == (len(text) > BODY_LIMIT)
    assert len(row.detail) <= 1000


def check_tick(venue: str, row: Row, tick: Tick) -> None:
    """Field by field against the row; a field that the venue lacks is null."""
    message = message_of(tick)
    paths = reading.NUMBERS[venue]
    for field, path in paths.items():
        check_number(field, message[field], at(row.value, path))
    for field in {*reading.NUMBERS["binance"], "market_cap"} - set(paths):
        assert message[field] is None
    counts = {name: at(row.value, path) for name, path in reading.COUNTS[venue].items()}
    check_count(message["trades_24h"], counts.get("trades_24h", Absent))
    if "mark" in counts:
        check_count(None if tick.mark is None else int(tick.mark), counts["mark"])
    if venue == "coingecko":
        assert message["mark"] == row.value.get("last_updated")
    if venue == "kraken":
        assert (message["mark"] is None) == (not row.value.get("t"))
    assert message["event_at"] == format_optional_time(reading.event_at(venue, row.value))
    assert message["record"] == row.text


def check_candle(venue: str, row: Row, candle: Candle) -> None:
    message = message_of(candle)
    given = minutes.fields(venue, row.value)
    for field in (*minutes.SIDES, "volume", "quote_volume"):
        check_number(field, message[field], given.get(field, Absent))
    check_count(message["trades"], given.get("trades", Absent))
    assert candle.open_at == minutes.open_at(venue, row.value)
    assert candle.event_at == minutes.close_at(venue, row.value)
    assert message["record"] == row.text


def check_number(field: str, published: str | None, given: Any) -> None:
    """The same number to the last digit; the same text where the venue's is plain."""
    if given is Absent or given is None or (field in OF_VENUE and Decimal(given) == 0):
        assert published is None, field
        return
    assert published is not None, field
    assert Decimal(published) == Decimal(given), (field, published, given)
    if PLAIN.fullmatch(given):
        assert published == given, field


def check_count(published: int | None, given: Any) -> None:
    assert published == (None if given is Absent else int(given))


def message_of(fact: Tick | Candle | Rejected) -> dict[str, Any]:
    """What a reader of the topic gets, which must be as the contract says."""
    encoded = fact.encode()
    assert len(encoded) < 1_000_000
    message: dict[str, Any] = json.loads(encoded)
    CHECKS[message["kind"]].validate(message)
    return message


def far() -> datetime:
    """A time by which every candle that may be published has closed."""
    return reading.LAST.replace(year=2101)
