"""When a rebuild takes up what one before it left, writes nothing, or is told in which words."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import pytest

from crypto_pipeline.audit.difference import Difference
from crypto_pipeline.audit.pins import Pins
from crypto_pipeline.errors import LeaseHeldError
from crypto_pipeline.gold.schema import CANDLES_1M, MARKET_SUMMARY, VOLATILITY
from crypto_pipeline.rebuild import run
from crypto_pipeline.rebuild.command import line
from crypto_pipeline.rebuild.layers import first_day
from crypto_pipeline.rebuild.run import TableRebuilt, rebuild_id
from crypto_pipeline.silver.schema import TICKS
from crypto_pipeline.stages import CANDLES, STAGES
from crypto_pipeline_tests.lake.delta_log import record

MISSING = Difference(table=CANDLES_1M.key, what="missing", rows=2, example="BTC-USDT")


def pins(lake: object = None) -> Pins:
    last = {stage.name: record(7) for stage in STAGES}
    return Pins(lake=cast("Any", lake), start=None, end=None, last=last, history={}, versions={})


def test_a_rebuild_is_known_again_by_lake_and_code(monkeypatch: pytest.MonkeyPatch) -> None:
    known = rebuild_id(pins(), "silver")
    assert rebuild_id(pins(), "silver") == known
    assert rebuild_id(pins(), "gold") != known
    assert rebuild_id(replace(pins(), whole={"bronze": date(2026, 10, 29)}), "silver") != known
    monkeypatch.setattr(run, "VERSION", "99.0.0")
    assert rebuild_id(pins(), "silver") != known


def put_in_place(
    monkeypatch: pytest.MonkeyPatch, *, newest: str, differences: list[Difference], ours: bool
) -> list[str]:
    """The places that were overwritten, of a table whose newest commit has that name."""

    def refuse() -> None:
        if not ours:
            raise LeaseHeldError("taken over")

    lake = SimpleNamespace(path=lambda table: f"lake/{table.key}", refuse_if_overtaken=refuse)
    reader = SimpleNamespace(load=lambda path: f"rows of {path}")
    reading = SimpleNamespace(format=lambda name: reader)
    side = SimpleNamespace(path=lambda table: "side", spark=SimpleNamespace(read=reading))
    written: list[str] = []
    monkeypatch.setattr(run.log, "last_commit", lambda path: record(7, write_id=newest))
    monkeypatch.setattr(run.log, "open_table", lambda path: None)
    monkeypatch.setattr(run, "_compared", lambda *_: (1, differences))
    monkeypatch.setattr(run, "_overwrite", lambda rows, path, _: written.append(path))
    run._put_in_place(pins(lake), cast("Any", side), CANDLES, CANDLES_1M, name="rebuild-1")
    return written


@pytest.mark.parametrize(
    ("newest", "differences", "is_written"),
    [("w", [], True), ("rebuild-1", [], False), ("rebuild-1", [MISSING], True)],
)
def test_a_table_is_put_in_place_once_and_again_when_it_was_spoilt_since(
    monkeypatch: pytest.MonkeyPatch, newest: str, differences: list[Difference], is_written: bool
) -> None:
    found = put_in_place(monkeypatch, newest=newest, differences=differences, ours=True)
    assert found == (["lake/gold/candles_1m"] if is_written else [])


def test_nothing_is_put_in_place_once_another_server_has_the_lake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(LeaseHeldError):
        put_in_place(monkeypatch, newest="w", differences=[], ours=False)


def test_the_day_that_a_table_is_made_from_is_that_of_the_layer_which_holds_least() -> None:
    lost = replace(pins(), whole={"bronze": date(2026, 10, 29), "gold": date(2024, 11, 28)})
    assert first_day(lost, TICKS) == date(2026, 10, 29)
    assert first_day(lost, CANDLES_1M) == date(2024, 11, 28)
    assert first_day(lost, VOLATILITY) == date(2024, 11, 29), "a minute needs the day before it"
    assert first_day(lost, MARKET_SUMMARY) is None
    assert first_day(pins(), TICKS) is None


def test_the_line_of_a_table_says_what_differed_and_from_when_it_was_made_anew() -> None:
    done = TableRebuilt(table="silver/ticks", rows=8000, differences=(), version=5)
    assert line(done) == "silver/ticks: 8,000 rows, version 5, equal"
    part = replace(done, differences=(MISSING,), since=date(2026, 10, 29))
    assert line(part) == (
        "silver/ticks: 8,000 rows, version 5, 2 missing before (BTC-USDT), "
        "made anew from 2026-10-29 on"
    )
