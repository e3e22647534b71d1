"""Who fetches the past leaves room for the minute's polls."""

from __future__ import annotations

from pathlib import Path

import pytest

from crypto_pipeline.errors import ToldToWaitError
from crypto_pipeline.source.budget import Allowance, Budget, Pace, Window
from crypto_pipeline_tests.stream.fakes import FakeClock

MINUTE_OF_TEN = Window(limit=10, seconds=60)
ONE_A_SECOND = Pace(per_second=1.0)


class Pair:
    """A poll and a backfill of one venue, with one file and one clock."""

    def __init__(self, folder: Path, allowance: Allowance) -> None:
        self.clock = FakeClock()
        file = folder / "budget.json"
        self.poll = Budget("v", [allowance], file=file, clock=self.clock)
        self.backfill = Budget("v", [allowance], file=file, clock=self.clock, is_background=True)

    def waited(self, budget: Budget, weight: int = 1) -> float:
        before = self.clock.now()
        budget.take(weight)
        return (self.clock.now() - before).total_seconds()


def test_half_of_a_window_is_the_polls_own(tmp_path: Path) -> None:
    pair = Pair(tmp_path, MINUTE_OF_TEN)
    assert [pair.waited(pair.backfill) for _ in range(5)] == [0.0] * 5
    assert [pair.waited(pair.poll) for _ in range(5)] == [0.0] * 5
    with pytest.raises(ToldToWaitError):
        pair.poll.take()
    # The next window begins 58 s later, at the whole minute.
    assert pair.waited(pair.backfill) == pytest.approx(58.0, abs=0.01)


def test_a_request_that_weighs_more_than_the_share_goes_through_alone(tmp_path: Path) -> None:
    pair = Pair(tmp_path, MINUTE_OF_TEN)
    assert pair.waited(pair.backfill, weight=8) == 0.0
    assert pair.waited(pair.backfill, weight=8) == pytest.approx(58.0, abs=0.01)


def test_a_poll_takes_the_turn_for_which_a_backfill_waits(tmp_path: Path) -> None:
    pair = Pair(tmp_path, ONE_A_SECOND)
    assert pair.waited(pair.poll) == 0.0
    assert pair.waited(pair.poll) == pytest.approx(1.0)
    assert pair.waited(pair.backfill) == pytest.approx(2.0)


def test_a_ban_is_waited_for_in_the_background_only(tmp_path: Path) -> None:
    pair = Pair(tmp_path, MINUTE_OF_TEN)
    pair.poll.told_to_wait(120)
    with pytest.raises(ToldToWaitError):
        pair.poll.take()
    assert pair.waited(pair.backfill) >= 120
