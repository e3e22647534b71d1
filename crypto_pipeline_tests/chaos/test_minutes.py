"""Which minutes must be explained, and by what: a candle, the ledger, or a refused row."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from crypto_pipeline import settings as settings_module
from crypto_pipeline_tests.chaos import minutes as minutes_module
from crypto_pipeline_tests.chaos.minutes import unexplained
from crypto_pipeline_tests.chaos.stack import WIRES, Stack

AT = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SYMBOL = "BTC-USDT"
TIME = pa.timestamp("us", "UTC")


def minutes(*numbers: int) -> list[datetime]:
    return [AT + MINUTE * number for number in numbers]


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """Polls of eight minutes; candles of 0 and 1, a gap of 2 to 4; nothing of 5."""
    values = {"STATE_DIR": str(tmp_path), "MARKET": "simulated", "SYMBOLS": SYMBOL}
    settings = settings_module.load(values, env_file=tmp_path / "no.env")
    found = Stack(
        settings=settings, folder=tmp_path, behind=dict.fromkeys((*WIRES, "recorder"), 1), control=0
    )
    polls = [{"poll_at": at, "purpose": "minute"} for at in minutes(*range(9))]
    put(found, "bronze/polls", polls, poll_at=TIME, purpose=pa.string())
    candles = [{"symbol": SYMBOL, "open_at": at} for at in minutes(0, 1)]
    put(found, "silver/candles", candles, symbol=pa.string(), open_at=TIME)
    gap = {
        "source": "s", "symbol": SYMBOL, "from_at": AT + 2 * MINUTE, "to_at": AT + 5 * MINUTE,
        "cause": "no_poll", "state": "open", "batch": 1,
    }  # fmt: skip
    text = dict.fromkeys(("source", "symbol", "cause", "state"), pa.string())
    put(found, "silver/gaps", [gap], **text, from_at=TIME, to_at=TIME, batch=pa.int64())
    ticked(found)
    return found


def ticked(stack: Stack, *rows: dict[str, Any]) -> None:
    text = dict.fromkeys(("symbol", "venue"), pa.string())
    put(stack, "silver/ticks", list(rows), **text, poll_at=TIME)


def put(stack: Stack, key: str, rows: list[dict[str, Any]], **columns: pa.DataType) -> None:
    table = pa.Table.from_pylist(rows, schema=pa.schema(list(columns.items())))
    write_deltalake(f"{stack.settings.lake_root}/{key}", table, mode="overwrite")


def serve(stack: Stack, rows: list[Any], *, is_delivered: bool) -> None:
    answer = {
        "request": "GET /api/v3/klines?symbol=BTCUSDT&interval=1m HTTP/1.1",
        "status": 200,
        "body": json.dumps(rows),
        "is_delivered": is_delivered,
    }
    stack.answers.write_text(json.dumps(answer) + "\n")


def test_a_minute_that_nothing_explains_is_named(stack: Stack) -> None:
    found = unexplained(stack)
    assert found.missing == ["BTC-USDT 2026-11-26T10:05Z"]
    assert found.states == {"open": 3, "of no_poll": 3}


def test_an_answer_that_was_never_received_must_be_explained_too(stack: Stack) -> None:
    row = [int(minutes(5)[0].timestamp() * 1000), "1.0"]
    serve(stack, [row], is_delivered=False)
    found = unexplained(stack)
    assert found.missing == ["BTC-USDT 2026-11-26T10:05Z"]
    assert found.served["answers not received"] == 1


def test_a_repaired_minute_is_explained(stack: Stack) -> None:
    put(
        stack, "silver/candles",
        [{"symbol": SYMBOL, "open_at": at} for at in minutes(0, 1, 5)],
        symbol=pa.string(), open_at=TIME,
    )  # fmt: skip
    assert unexplained(stack).missing == []


@pytest.mark.parametrize(
    ("venue", "trades", "is_excused"),
    [("kraken", 0, True), ("kraken", 9, False), ("binance", 0, False)],
)
def test_a_quiet_minute_is_one_only_without_a_trade_and_where_the_venue_serves_none(
    venue: str,
    trades: int,
    stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_excused: bool,
) -> None:
    monkeypatch.setattr(minutes_module, "_trades", lambda *_: trades)
    ticked(stack, {"symbol": SYMBOL, "venue": venue, "poll_at": AT + 6 * MINUTE})
    found = unexplained(stack)
    assert (found.missing == []) is is_excused
    assert found.served["minutes taken for quiet"] == is_excused
