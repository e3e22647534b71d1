"""The fast way and the careful way read every row the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_pipeline.source import binance_rows
from crypto_pipeline.source.binance_typed import rows_of, usual_tick
from crypto_pipeline_tests.source.builders import ORIGIN, row

NAMES = {"BTCUSDT": "BTC-USDT", "ETHUSDT": "ETH-USDT"}
USUAL = row()
NUMBERS = st.sampled_from(
    [
        *("0", "0.00000000", "-1", "1e-8", "1E5", "1.", ".5", "+1", " 1", "NaN", "1" * 21),
        *("0.0000000000000000001", "67012.01000000", "\u0661", ""),
    ]
)
WHOLES = st.sampled_from([0, -1, 12, 10**17, 10**18, 10**30, 1732312800000, 12.0, 1e3])
VALUES = st.one_of(NUMBERS, WHOLES, st.none(), st.booleans(), st.lists(st.integers(), max_size=1))
CHANGES = st.dictionaries(st.sampled_from(sorted(USUAL)), VALUES, max_size=2)
SPACES = st.sampled_from(["", " ", "\n\t"])


@contextmanager
def carefully(patch: pytest.MonkeyPatch) -> Iterator[None]:
    with patch.context() as inner:
        inner.setattr(binance_rows, "rows_of", lambda body: None)
        yield


def read(text: str) -> Any:
    return binance_rows.parse_snapshot(text, origin=ORIGIN, names=NAMES)


@given(
    changes=st.lists(CHANGES, max_size=3),
    lost=st.sets(st.sampled_from(sorted(USUAL)), max_size=2),
    space=SPACES,
    cut=st.one_of(st.none(), st.integers(0, 400)),
)
def test_both_ways_read_the_same(
    changes: list[dict[str, Any]], lost: set[str], space: str, cut: int | None
) -> None:
    rows = [{**USUAL, **change} for change in changes] + [
        {name: value for name, value in {**USUAL, "symbol": "ETHUSDT"}.items() if name not in lost}
    ]
    text = (space + "[" + f"{space},{space}".join(map(json.dumps, rows)) + "]" + space)[:cut]
    fast = read(text)
    with carefully(pytest.MonkeyPatch()):
        assert read(text) == fast


def test_a_usual_row_goes_the_fast_way() -> None:
    (record,) = rows_of(json.dumps([USUAL])) or []
    tick = usual_tick(record, origin=ORIGIN, names=NAMES)
    assert tick is not None
    assert tick.record == json.dumps(USUAL)


@pytest.mark.parametrize("text", ["", "{}", "[1, 2", '["\\ud800"', '["\ud800"]', "[] []"])
def test_a_body_that_is_no_array_goes_the_careful_way(text: str) -> None:
    assert rows_of(text) is None
