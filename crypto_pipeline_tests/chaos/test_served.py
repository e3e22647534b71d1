"""Which rows that were served and received must be in bronze, and what excuses one that is not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from crypto_pipeline import settings as settings_module
from crypto_pipeline.contract.message import format_time
from crypto_pipeline_tests.chaos.served import Served, served
from crypto_pipeline_tests.chaos.stack import WIRES, Stack

AT = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BTC, ETH = "BTC-USDT", "ETH-USDT"
TIME, TEXT, WHOLE = pa.timestamp("us", "UTC"), pa.string(), pa.int64()
TICKS = {"symbol": TEXT, "poll_at": TIME, "record": TEXT}
POLLS = {
    **dict.fromkeys(("venue", "purpose", "outcome", "reason"), TEXT), "poll_at": TIME,
    **dict.fromkeys(("published", "unchanged", "rejected"), WHOLE),
}  # fmt: skip
OK = {
    "venue": "binance", "purpose": "minute", "outcome": "ok", "reason": None, "poll_at": AT,
    "published": 2, "unchanged": 0, "rejected": 0,
}  # fmt: skip


def row(symbol: str, *, at: datetime = AT, price: str = "1.0") -> str:
    closed = int((at + timedelta(seconds=6)).timestamp() * 1000)
    name = symbol.replace("-", "")
    return f'{{"symbol":"{name}","lastPrice":"{price}","closeTime":{closed}}}'


def tick(symbol: str, *, at: datetime = AT, text: str = "") -> dict[str, Any]:
    return {"symbol": symbol, "poll_at": at, "record": text or row(symbol, at=at)}


def answer(*rows: str, **changes: Any) -> dict[str, Any]:
    return {
        "request": "GET /api/v3/ticker/24hr?symbols=%5B%22BTCUSDT%22%5D HTTP/1.1",
        "status": 200,
        "body": f"[{','.join(rows)}]",
        "is_whole": True,
        "is_delivered": True,
        **changes,
    }


def put(stack: Stack, key: str, rows: list[dict[str, Any]], columns: dict[str, Any]) -> None:
    table = pa.Table.from_pylist(rows, schema=pa.schema(list(columns.items())))
    write_deltalake(f"{stack.settings.lake_root}/{key}", table, mode="overwrite")


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """An answer of two rows, the whole poll that took it, and nothing refused."""
    values = {"STATE_DIR": str(tmp_path), "MARKET": "simulated", "SYMBOLS": f"{BTC},{ETH}"}
    found = Stack(
        settings=settings_module.load(values, env_file=tmp_path / "no.env"),
        folder=tmp_path,
        behind=dict.fromkeys((*WIRES, "recorder"), 1),
        control=0,
    )
    put(found, "bronze/ticks", [tick(BTC), tick(ETH)], TICKS)
    put(found, "bronze/polls", [OK], POLLS)
    put(found, "bronze/rejected", [], {"value": pa.binary()})
    serve(found, answer(row(BTC), row(ETH)))
    return found


def serve(stack: Stack, *answers: dict[str, Any]) -> None:
    stack.answers.write_text("".join(json.dumps(one) + "\n" for one in answers))


def counts(found: Served) -> tuple[int, int, int]:
    return found.received, found.kept, len(found.lost)


def test_what_was_served_and_received_is_there(stack: Stack) -> None:
    assert counts(served(stack)) == (2, 2, 0)


def test_a_row_that_a_whole_poll_dropped_is_lost(stack: Stack) -> None:
    put(stack, "bronze/ticks", [tick(BTC)], TICKS)
    found = served(stack)
    assert counts(found) == (2, 1, 1)
    assert found.lost == ["ETH-USDT served 2026-11-26T10:00:06Z"]


def test_an_answer_of_which_a_whole_poll_has_nothing_is_lost(stack: Stack) -> None:
    put(stack, "bronze/ticks", [], TICKS)
    assert counts(served(stack)) == (2, 0, 2)


def test_a_row_is_owed_in_the_minute_of_the_poll_that_took_the_others(stack: Stack) -> None:
    """The answer came after its minute; in the next there is another tick of the symbol."""
    late = AT + MINUTE
    serve(stack, answer(row(BTC, at=late), row(ETH, at=late)))
    took, next_one = tick(BTC, text=row(BTC, at=late)), tick(ETH, at=late, text="another")
    put(stack, "bronze/ticks", [took, next_one], TICKS)
    put(stack, "bronze/polls", [OK, {**OK, "poll_at": late}], POLLS)
    assert served(stack).lost == ["ETH-USDT served 2026-11-26T10:01:06Z"]


def test_a_poll_that_was_killed_before_the_disk_is_left_to_the_ledger(stack: Stack) -> None:
    put(stack, "bronze/ticks", [], TICKS)
    put(stack, "bronze/polls", [{**OK, "poll_at": AT + MINUTE}], POLLS)
    assert counts(served(stack)) == (2, 0, 0)


def test_a_minute_that_was_polled_again_has_the_rows_of_the_other_answer(stack: Stack) -> None:
    put(stack, "bronze/ticks", [tick(name, text="the other") for name in (BTC, ETH)], TICKS)
    assert counts(served(stack)) == (2, 0, 0)


@pytest.mark.parametrize(
    ("said", "is_excused"),
    [
        ({"outcome": "transient", "reason": "ReadTimeout", "published": 0}, True),
        ({"outcome": "partial", "reason": "not served: ETH-USDT"}, True),
        ({"outcome": "partial", "reason": "1 rows rejected: not_a_row", "rejected": 1}, True),
        ({"outcome": "partial", "reason": "no candle of BTC-USDT"}, False),
        ({"outcome": "ok", "venue": "coingecko"}, True),
        ({"outcome": "ok", "purpose": "history"}, True),
    ],
    ids=str,
)
def test_a_poll_may_say_itself_that_it_lacks_a_row(
    said: dict[str, Any], stack: Stack, *, is_excused: bool
) -> None:
    put(stack, "bronze/ticks", [tick(BTC)], TICKS)
    put(stack, "bronze/polls", [{**OK, **said}], POLLS)
    assert (served(stack).lost == []) is is_excused


def test_a_venue_that_stood_in_has_the_minute(stack: Stack) -> None:
    put(stack, "bronze/ticks", [tick(name, text="of kraken") for name in (BTC, ETH)], TICKS)
    put(stack, "bronze/polls", [OK, {**OK, "venue": "kraken"}], POLLS)
    assert served(stack).lost == []


def test_a_row_that_was_refused_is_kept(stack: Stack) -> None:
    put(stack, "bronze/ticks", [tick(BTC)], TICKS)
    refused = {"kind": "rejected", "poll_at": format_time(AT), "body": row(ETH)}
    poison = [b"", b"null", b"[" * 20_000, b"\xff", b'{"poll_at":1,"body":2}', None]
    values = [json.dumps(refused).encode(), *poison]
    put(stack, "bronze/rejected", [{"value": one} for one in values], {"value": pa.binary()})
    assert counts(served(stack)) == (2, 2, 0)


@pytest.mark.parametrize(
    "other",
    [
        answer(row(BTC), is_delivered=False),
        answer(row(BTC), status=503),
        answer(row(BTC), request="GET /api/v3/klines?symbol=BTCUSDT HTTP/1.1"),
        answer(row("DOGE-USDT"), "5", '{"symbol":["BTCUSDT"]}', '{"symbol":"BTCUSDT"}'),
        answer('{"symbol":"BTCUSDT","closeTime":"' + "9" * 9_000 + '"}'),
        answer(body="<html>"),
        answer(request=""),
    ],
)
def test_what_was_not_received_or_is_no_row_of_the_watch_list_is_not_owed(
    other: dict[str, Any], stack: Stack
) -> None:
    put(stack, "bronze/ticks", [], TICKS)
    serve(stack, other)
    assert counts(served(stack)) == (0, 0, 0)
