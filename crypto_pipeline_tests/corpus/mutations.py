"""What can happen to a body on its way: fields dropped, nulls, other types, cuts, repeats."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from crypto_pipeline_tests.corpus.bodies import Body
from crypto_pipeline_tests.corpus.reading import Lexeme

# Long numbers, both ends of DECIMAL(38,18) and just beyond, as numbers and as text.
NUMBERS = [
    *("1e-12", "1e18", "1000000000000000000", "0.000000000001", "1E-18", "1e-19", "9e19", "1e20"),
    *("0", "-0", "0e-30", "0.0", "-1", "+5", "007.50", "12.", "1.0000000000000000000000"),
    *("12345678901234567890.123456789012345678", "123456789012345678901", "0.1234567890123456789"),
    *("67012.010000000000000000000000000001", "0.02502000000000000057287508070658", "6.14e-06"),
    *("99999999999999999999.9999999999999999999", "1795428305000", "1795428300", "946684799999"),
]
TEXTS = [
    *("", " ", "NaN", "Infinity", "null", "0x10", "1,5", "1_000", "\u0661\u0662", "\u20bf"),
    *("\ud800", "\U0001f680", "BTCUSDT", "btc", "\x00", "2026-11-23T10:05:03Z"),
    *("2026-11-23\ud80010:05:03Z", "2026-11-23T10:05:03", "1999-01-01T00:00:00Z"),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"),
]
NOT_JSON_NUMBERS = frozenset({"+5", "007.50", "12."})
VALUES = st.one_of(
    st.sampled_from([Lexeme(text) for text in NUMBERS if text not in NOT_JSON_NUMBERS]),
    st.sampled_from([*NUMBERS, *TEXTS]),
    st.sampled_from([None, True, False, [], {}, ["1"], {"a": None}, Lexeme("NaN")]),
    st.text(max_size=8),
)
NOT_ROWS = st.sampled_from([None, True, Lexeme("7"), "text", "\ud800", [], {}, [[]], [None] * 9])
DROP = object()


@st.composite
def bodies(draw: st.DrawFn, venue: str, kind: str, corpus: Sequence[tuple[str, Any]]) -> Body:
    """One to six rows of the corpus, each of them perhaps damaged, perhaps repeated."""
    is_one = venue == "coinbase" and kind == "snapshot"
    rows = draw(st.lists(st.sampled_from(corpus), min_size=1, max_size=1 if is_one else 6))
    return Body(venue, kind, [draw(damaged(name, value)) for name, value in rows])


@st.composite
def damaged(draw: st.DrawFn, name: str, value: Any) -> tuple[str, Any]:
    what = draw(st.sampled_from(["whole", "fields", "fields", "fields", "other"]))
    if what == "whole":
        return name, value
    if what == "other":
        return name, copy.deepcopy(draw(NOT_ROWS))
    row = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        _damage(draw, row)
    return name, row


def _damage(draw: st.DrawFn, row: Any) -> None:
    """Change or leave out one place of a row, or of an array in it."""
    if not row:
        return
    place = draw(st.sampled_from(list(row) if isinstance(row, dict) else range(len(row))))
    if isinstance(row[place], list) and row[place] and draw(st.booleans()):
        _damage(draw, row[place])
    elif draw(st.integers(0, 3)) == 0:
        del row[place]
    else:
        row[place] = copy.deepcopy(draw(VALUES))
