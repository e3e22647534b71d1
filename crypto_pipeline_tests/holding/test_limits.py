"""When a source has too many rejected rows."""

from __future__ import annotations

import pytest

from crypto_pipeline.holding.limits import Limits

LIMITS = Limits(rate=0.2, least_rows=20)


@pytest.mark.parametrize(
    ("rejected", "rows", "passed"),
    [(4, 20, True), (3, 20, False), (19, 19, False), (0, 100, False), (100, 100, True)],
)
def test_the_rate_counts_only_with_enough_rows(rejected: int, rows: int, passed: bool) -> None:
    assert LIMITS.is_passed(rejected=rejected, rows=rows) is passed


def test_a_sound_source_is_not_held_however_low_the_limit() -> None:
    assert not Limits(rate=0.001, least_rows=1).is_passed(rejected=0, rows=5)
