"""The checker sees what is lost, doubled or changed: each case is a lake with one thing wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from pydoc import locate
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from crypto_pipeline import settings as settings_module
from crypto_pipeline.stages import BRONZE
from crypto_pipeline_tests.chaos.checker import ONCE, Verdict, layers, witnessed
from crypto_pipeline_tests.chaos.explained import OUTSIDE
from crypto_pipeline_tests.chaos.recorder import Recorder, digest_of
from crypto_pipeline_tests.chaos.stack import WIRES, Stack
from crypto_pipeline_tests.crash.balance import Balance

Rows = dict[str, list[dict[str, Any]]]
TICK = {"topic": "market.ticks", "epoch": 0, "partition": 0, "offset": 0}
REPEAT = {**TICK, "offset": 1}
CANDLE = {**TICK, "topic": "market.candles"}
POISON = {**TICK, "offset": 2}
COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in ("topic", "id", "reason", "source", "symbol")),
        *((name, pa.int64()) for name in ("epoch", "partition", "offset", "minute_at")),
        ("value", pa.binary()),
    ]
)
TOPICS = (TICK, REPEAT, CANDLE, POISON)


def sound() -> Rows:
    """A tick, the same again, a candle and poison, each where it belongs."""
    return {
        "raw/records": [{**one, "value": bytes(number)} for number, one in enumerate(TOPICS)],
        "bronze/ticks": [{**TICK, "id": "t"}, {**REPEAT, "id": "t"}],
        "bronze/candles": [{**CANDLE, "id": "c"}],
        "bronze/polls": [],
        "bronze/rejected": [POISON],
        "silver/ticks": [{**TICK, "id": "t"}],
        "silver/candles": [{**CANDLE, "id": "c"}],
        "silver/set_aside": [{**REPEAT, "id": "t", "reason": "duplicate"}],
        "gold/candles_1m": [{"source": "s", "symbol": "A-B", "minute_at": 1}],
        "gold/volatility": [{"source": "s", "symbol": "A-B", "minute_at": 1}],
        "gold/market_summary": [{"source": "s", "symbol": "A-B"}],
        "predictions/forecasts": [{"id": "f"}],
    }


def moved(rows: Rows, origin: str, to: str) -> None:
    rows[to].append(rows[origin].pop())


FAULTS: dict[str, tuple[Callable[[Rows], object], str, str]] = {
    "a record that raw has not": (lambda rows: rows["raw/records"].pop(), "lost", "raw"),
    "a record twice in raw": (
        lambda rows: rows["raw/records"].append(rows["raw/records"][0]), "doubled", "raw",
    ),
    "a record that bronze dropped": (lambda rows: rows["bronze/rejected"].pop(), "lost", "bronze"),
    "a fact that silver dropped": (lambda rows: rows["silver/candles"].pop(), "lost", "silver"),
    "an id that is only set aside": (
        lambda rows: moved(rows, "silver/ticks", "silver/set_aside"), "lost", "ids",
    ),
    "an id twice in silver": (
        lambda rows: rows["silver/ticks"].append({**REPEAT, "id": "t"}), "doubled", "silver/ticks",
    ),
    "a key twice in gold": (
        lambda rows: rows["gold/candles_1m"].append(rows["gold/candles_1m"][0]),
        "doubled", "gold/candles_1m",
    ),
    "a forecast twice": (
        lambda rows: rows["predictions/forecasts"].append({"id": "f"}),
        "doubled", "predictions/forecasts",
    ),
}  # fmt: skip


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    values = {"STATE_DIR": str(tmp_path), "MARKET": "simulated"}
    settings = settings_module.load(values, env_file=tmp_path / "no.env")
    return Stack(
        settings=settings, folder=tmp_path, behind=dict.fromkeys((*WIRES, "recorder"), 1), control=0
    )


def lay_down(stack: Stack, rows: Rows) -> None:
    """Every table with every column: what a layer has not is null."""
    for key, own in rows.items():
        table = pa.Table.from_pylist(own, schema=COLUMNS)
        write_deltalake(f"{stack.settings.lake_root}/{key}", table)


def counted(stack: Stack) -> Balance:
    found = Balance(lost={}, doubled={}, records=len(TOPICS))
    layers(stack, Counter(tuple(one.values()) for one in TOPICS), found)
    return found


def test_a_sound_lake_is_sound(stack: Stack) -> None:
    assert {table.key for table in BRONZE.outputs} | set(ONCE) <= set(sound())
    lay_down(stack, sound())
    assert counted(stack).holds


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_is_found_where_it_is(name: str, stack: Stack) -> None:
    spoil, what, where = FAULTS[name]
    rows = sound()
    spoil(rows)
    lay_down(stack, rows)
    found = counted(stack)
    assert getattr(found, what)[where] == 1, found


def test_what_was_witnessed_must_be_there_byte_for_byte(stack: Stack) -> None:
    lay_down(stack, sound())
    seen = {("market.ticks", 0, 0): digest_of(b""), ("market.ticks", 0, 1): digest_of(b"other")}
    recorder = Recorder(stack.settings, seen=seen, spooled={digest_of(bytes(2)), "gone"})
    found = Verdict()
    witnessed(stack, recorder, found)
    assert (found.lost["acknowledged"], found.lost["spooled"]) == (1, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lost": {"raw": 1}}, {"doubled": {"raw": 1}}, {"stuck": ["lake_cycle STARTED"]},
        {"audit": "1 missing"}, {"shown": ["0.0.0.0"]}, {"failures": {"TypeError": 1}},
        {"failures": {"crypto_pipeline.errors.BrokerAwayError": 3, "ValueError": 1}},
    ],
)  # fmt: skip
def test_one_thing_wrong_is_enough(wrong: dict[str, Any]) -> None:
    assert Verdict(failures={"crypto_pipeline.errors.BrokerAwayError": 3}).holds
    assert not Verdict(**wrong).holds


@pytest.mark.parametrize("name", sorted(OUTSIDE))
def test_what_a_killed_server_makes_its_clients_raise_is_no_bug(name: str) -> None:
    assert issubclass(locate(name), BaseException), "a name that no error has"
    assert Verdict(failures={name: 1}).bugs == []


@pytest.mark.parametrize(
    "name",
    [
        *("TypeError", "ValueError", "RuntimeError", "UnboundLocalError", "FileNotFoundError"),
        *(
            "httpx.ConnectError",
            "crypto_pipeline.errors.BooksError",
            "json.decoder.JSONDecodeError",
        ),
        "pyspark.errors.exceptions.connect.AnalysisException",
        "crypto_pipeline.source.row.RowError",
    ],
)
def test_every_other_failure_of_a_run_is_a_bug(name: str) -> None:
    assert Verdict(failures={name: 1}).bugs == [name]
