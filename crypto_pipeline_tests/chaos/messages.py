"""What a hostile or careless producer puts on the topics: repeats, late facts, drift, poison."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from kafka import KafkaProducer

from crypto_pipeline.contract import topic
from crypto_pipeline.contract.message import fact_id, format_time, parse_time
from crypto_pipeline.settings import Settings
from crypto_pipeline.source.clock import minute_of
from crypto_pipeline_tests.chaos.recorder import Recorder

Record = tuple[str, bytes | None, bytes | None]
REPEATED = 300
# Rejected rows hold back their source until a person releases it; the others must go on.
DRIFTING = "simulator:drifting:7"
LATE_MINUTES = (150, 155)
SEND_SECONDS = 20
# Near the broker's limit of 1 MiB a record.
LARGE = 1_000_000
DEEP = 20_000
POISON: tuple[bytes | None, ...] = (
    None,
    b"",
    b"\xff\xfe\x00 not json",
    b"{",
    b"null",
    b"[1,2,3]",
    b'"tick"',
    b"[" * DEEP,
    b'{"a":' * DEEP,
    b"x" * LARGE,
    b'{"schema_version":1,"kind":"tick","id":"' + b"y" * 100_000 + b'"}',
    b'{"schema_version":99,"kind":"tick","id":"of a later version"}',
    b'{"schema_version":1,"kind":"tick","id":"a","id":"b","market":"simulated"}',
    b'{"schema_version":1e400,"kind":"candle","id":"1"}',
    b'{"schema_version":true,"kind":{"a":1},"id":[1]}',
    b'{"schema_version":1,"kind":"poll","id":"p","market":"simulated","poll_at":"soon"}',
    b'{"schema_version":1,"kind":"rejected","id":"r","market":"simulated","body":{"x":"y"}}',
    b'{"schema_version":1,"kind":"summary","market":"simulated","symbol":null}',
    b'{"schema_version":1,"kind":"forecast","market":"simulated","id":7,"volatility":"NaN"}',
    b'{"schema_version":1,"kind":"stage","stage":"../../etc/passwd","batch":-1}',
)


def send(direct: Settings, records: Sequence[Record]) -> int:
    """Put them onto the topics, past every wire; all are acknowledged when this returns."""
    options = {"bootstrap_servers": direct.kafka_address, "acks": "all"}
    with closing(KafkaProducer(**options, max_request_size=2 * LARGE)) as producer:
        sent = [producer.send(name, key=key, value=value) for name, key, value in records]
        for one in sent:
            one.get(timeout=SEND_SECONDS)
    return len(sent)


def repeated(recorder: Recorder) -> list[Record]:
    """The newest facts once more, byte for byte as JSON has them."""
    newest = list(recorder.newest)[-REPEATED:]
    return [(name, key, _encoded(value)) for name, key, value in newest]


def late(recorder: Recorder, now: datetime) -> list[Record]:
    """Facts of before the first history, which nobody has sent, with today's values."""
    found: list[Record] = []
    for name, key, value in _newest_by_symbol(recorder):
        for minutes in range(*LATE_MINUTES):
            at = minute_of(now) - timedelta(minutes=minutes)
            found.append((name, key, _encoded(_moved(value, at))))
    return found


def drifted(recorder: Recorder, now: datetime) -> list[Record]:
    """After a release without notice: a field more, a number for a text, a field less, a rename."""
    found: list[Record] = []
    at = minute_of(now) - timedelta(minutes=200)
    for name, key, value in _newest_by_symbol(recorder):
        moved = _moved({**value, "source": DRIFTING}, at)
        price = "price" if "price" in moved else "close"
        lost = {k: v for k, v in moved.items() if k != price}
        for number, changed in enumerate(
            (
                {**moved, "venue_flags": ["new"], "extra": {"deep": 1}},
                {**moved, price: float(moved[price])},
                lost,
                {**lost, f"{price}V2": moved[price]},
                {**moved, price: [moved[price]]},
                {**moved, "schema_version": "1"},
            )
        ):
            found.append((name, key, _encoded({**changed, "id": f"{moved['id']}-{number}"})))
    return found


def poison(name: str) -> list[Record]:
    """The broker itself refuses a record without a key on a topic that it compacts."""
    has_keyless = name in {one.name for one in topic.INGESTED}
    keyless: list[Record] = [(name, None, b"no key")] if has_keyless else []
    return [(name, b"poison", value) for value in POISON] + keyless


def _newest_by_symbol(recorder: Recorder) -> list[tuple[str, bytes, dict[str, Any]]]:
    newest = {(v["kind"], v["source"], v["symbol"]): (n, k, v) for n, k, v in recorder.newest}
    return [one for key, one in sorted(newest.items()) if key[0] in ("tick", "candle")]


def _moved(value: dict[str, Any], at: datetime) -> dict[str, Any]:
    """The same values as a fact of another minute, with the id that is due to it."""
    moment = format_time(at)
    seen = format_time(parse_time(value["observed_at"]) if "observed_at" in value else _now())
    if value["kind"] == "tick":
        own = {"poll_at": moment, "id": fact_id("tick", value["source"], value["symbol"], moment)}
    else:
        own = {
            "open_at": moment,
            "id": fact_id("candle", value["source"], value["symbol"], moment, "moved"),
        }
    return {**value, **own, "observed_at": seen, "event_at": None}


def _now() -> datetime:
    return datetime.now(UTC)


def _encoded(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
