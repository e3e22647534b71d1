"""Today's defaults keep a month below its limit, by what a minute was last measured to cost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crypto_pipeline_tests import proof
from crypto_pipeline_tests.maintenance import month
from crypto_pipeline_tests.maintenance.month import LIMIT_BYTES, Cost, bytes_kept

FILE = proof.FOLDER / "a-month-on-a-laptop.json"


def measured() -> dict[str, float]:
    if not FILE.exists():
        pytest.skip("a minute's cost is not on record yet: `make prove` writes it")
    figures: dict[str, Any] = json.loads(FILE.read_text())["figures"]
    costs = {key: Cost(**cost) for key, cost in figures["a_minute"].items()}
    return bytes_kept(costs, topics=figures["topics_a_minute"])


def test_the_defaults_keep_a_month_of_twenty_symbols_below_five_gibibytes() -> None:
    kept = measured()
    assert {"raw/records", "predictions/scores", "market.ticks", "dagster"} <= kept.keys()
    assert sum(kept.values()) < LIMIT_BYTES


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOG_DAYS", 8),
        ("DAGSTER_DAYS", 7),
        ("LAYER_DAYS", dict.fromkeys(("raw", "bronze", "silver", "gold", "predictions"), 365)),
    ],
)
def test_defaults_that_keep_more_are_found_out(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    monkeypatch.setattr(month, name, value)
    monkeypatch.setattr(month, "DAYS", 365 if name == "LAYER_DAYS" else month.DAYS)
    assert sum(measured().values()) > LIMIT_BYTES
