"""The cost page's results are its inputs' arithmetic."""

from __future__ import annotations

import pytest

from crypto_pipeline.keeping_settings import DAGSTER_DAYS, LAYER_DAYS
from crypto_pipeline_tests.documents import cost

PAGE = cost.PAGE.read_text()


@pytest.mark.parametrize("size", cost.SIZES)
def test_the_results_are_what_the_inputs_give(size: str) -> None:
    found = cost.results(PAGE, size=size)
    computed = cost.month(cost.inputs(PAGE, size=size))
    assert found == {name: pytest.approx(value, abs=0.005) for name, value in computed.items()}


@pytest.mark.parametrize("size", cost.SIZES)
def test_another_price_gives_another_result(size: str) -> None:
    changed = cost.month(cost.inputs(PAGE.replace("| 0.192 |", "| 0.384 |"), size=size))
    found = cost.results(PAGE, size=size)
    assert changed["nodes"] == pytest.approx(2 * found["nodes"])
    assert changed["bucket"] == pytest.approx(found["bucket"], abs=0.005)


def test_the_retention_is_the_settings_own() -> None:
    given = cost.inputs(PAGE, size="20")
    assert {layer: given[f"{layer}_days"] for layer in LAYER_DAYS} == LAYER_DAYS
    assert given["dagster_days"] == DAGSTER_DAYS
