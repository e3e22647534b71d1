"""What the screen is told of gold and of the stages, against the published schemas."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from crypto_pipeline.contract import report_schema
from crypto_pipeline.contract.message import format_time
from crypto_pipeline.gold import publication
from crypto_pipeline.gold.schema import MARKET_SUMMARY, VOLATILITY
from crypto_pipeline.lake import few_rows
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.pipeline import Pipeline
from crypto_pipeline.publication import Screen
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.silver.schema import GAPS
from crypto_pipeline.stages import RAW, SILVER, SUMMARY
from crypto_pipeline.stages import VOLATILITY as VOLATILITY_STAGE
from crypto_pipeline.stream.publish import Outgoing
from crypto_pipeline_tests.builders import AT, BTC, ETH, MINUTE, Row, day_of, poll, put
from crypto_pipeline_tests.topics import send

if TYPE_CHECKING:
    from crypto_pipeline.settings import Settings

pytestmark = [pytest.mark.spark, pytest.mark.integration]

SOURCE = "simulator:binance:7"


def measured(symbol: str, at: datetime, **values: Any) -> Row:
    row = {
        "source": SOURCE, "symbol": symbol, "minute_at": at, "close": Decimal("100.5"),
        "origin": "exchange", "bollinger_middle": 100.0, "bollinger_upper": 101.0,
        "bollinger_lower": 99.0, "bollinger_width": 0.02, "volatility_1h": 0.5, "ewma": 0.4,
        "atr_14": 0.3, "z_score": -1.5, "date": day_of(at),
    }  # fmt: skip
    return {**row, **values}


def summary_row(symbol: str, at: datetime, rank: int | None) -> Row:
    return {
        "source": SOURCE, "symbol": symbol, "minute_at": at, "last": Decimal("100.5"),
        "volatility_1h": 0.5, "volatility_rank": rank, "poll_at": at,
    }  # fmt: skip


def gap(symbol: str, first: int, last: int, state: str) -> Row:
    """Minutes `first` to before `last`, counted from two hours before AT."""
    start = AT - 120 * MINUTE
    return {
        "source": SOURCE, "symbol": symbol, "from_at": start + first * MINUTE,
        "to_at": start + last * MINUTE, "minutes": last - first, "cause": "source_down",
        "state": state, "tries": 0, "decided_at": AT, "date": day_of(start + first * MINUTE),
    }  # fmt: skip


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """BTC with all, ETH without a rank and with an old minute."""
    minutes = [measured(BTC, AT - back * MINUTE, z_score=float(back)) for back in range(3, -1, -1)]
    minutes.append(measured(ETH, AT - 5 * MINUTE, origin="sampled", atr_14=None))
    put(lake, VOLATILITY_STAGE, {VOLATILITY: minutes})
    put(lake, SUMMARY, {MARKET_SUMMARY: [summary_row(ETH, AT, None), summary_row(BTC, AT, 1)]})
    put(lake, SILVER, {GAPS: [gap(BTC, 0, 10, "open"), gap(BTC, 50, 52, "open")]}, batch=1)
    put(lake, SILVER, {GAPS: [gap(BTC, 4, 6, "repaired")]}, batch=2)
    return lake


@pytest.fixture
def told(filled: Lake) -> dict[str, dict[str, Any]]:
    """The records by symbol."""
    return {record["symbol"]: record for record in publication.summary_records(filled)}


def test_the_records_say_what_stands(
    filled: Lake, told: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One test: each would commit the same tables again."""
    # Too many for values, they are scanned, and say the same.
    monkeypatch.setattr(few_rows, "FEW", 0)
    assert told == {record["symbol"]: record for record in publication.summary_records(filled)}
    for record in told.values():
        jsonschema.validate(record, report_schema.summary_schema())
    newest, other = told[BTC], told[ETH]
    assert (newest["z_score"], newest["atr_14"], newest["origin"]) == (0, 0.3, "exchange")
    assert "z_score" not in newest["recent"][0], "said once"
    assert [minute["minute_at"] for minute in newest["recent"]] == [
        format_time(AT - back * MINUTE) for back in range(3, -1, -1)
    ]
    # A measure of another minute is not said of this one.
    assert "z_score" not in other
    assert [minute["origin"] for minute in other["recent"]] == ["sampled"]
    # Of two rows about a minute the later batch holds.
    assert [(gap["state"], gap["minutes"]) for gap in newest["gaps"]] == [
        ("open", 2),
        ("open", 4),
        ("repaired", 2),
        ("open", 4),
    ]
    assert other["gaps"] == []


class Sent:
    """A publisher that keeps what it was given."""

    def __init__(self) -> None:
        self.messages: list[Outgoing] = []

    def publish(self, messages: Any, *, deadline_seconds: float) -> Any:
        self.messages += messages
        return {}

    def close(self) -> None: ...


def test_a_stage_says_what_waits_for_it_and_which_run_it_was(
    runner: StageRunner, servers: Settings
) -> None:
    import json

    publisher = Sent()
    pipeline = Pipeline(runner=runner, screen=Screen(publisher=publisher, newest=lambda _: {}))
    send(servers, poll(), poll())
    pipeline.run(RAW)
    send(servers, poll(), poll(), poll())
    pipeline.publish_status(run_id="run-1")
    (report,) = [json.loads(message.value) for message in publisher.messages]
    jsonschema.validate(report, report_schema.stage_schema())
    assert (report["stage"], report["behind"], report["run_id"]) == ("raw", 3, "run-1")
    assert sum(report["outcomes"].values()) == report["rows_in"] == 2
