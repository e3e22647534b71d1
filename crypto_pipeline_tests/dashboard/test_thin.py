"""Down-sampling keeps every extreme, both ends and the order."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dashboard.thin import kept_places

values = st.lists(st.floats(-1e9, 1e9) | st.just(float("nan")), min_size=1, max_size=400)


@given(values, st.integers(6, 50))
def test_no_extreme_is_lost_and_the_limit_holds(numbers, limit):
    line = np.array(numbers)
    places = kept_places(line, limit=limit)
    assert places.size <= max(limit, 6)
    assert np.all(np.diff(places) > 0)
    assert (places[0], places[-1]) == (0, line.size - 1)
    known = line[~np.isnan(line)]
    if known.size:
        kept = line[places]
        assert np.nanmin(kept) == known.min()
        assert np.nanmax(kept) == known.max()


def test_a_short_line_is_left_as_it_is():
    assert kept_places(np.arange(2_000.0)).tolist() == list(range(2_000))
    assert kept_places(np.arange(100_000.0)).size <= 2_000
