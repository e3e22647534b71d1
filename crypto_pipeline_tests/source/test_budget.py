"""A budget is never exceeded, whoever spends it, and a venue's own word is kept."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_pipeline.errors import ToldToWaitError
from crypto_pipeline.source.budget import Allowance, Budget, Pace, Window, read_state
from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.source.builders import NOW, FakeClock

MINUTE = Window(limit=20, seconds=60)
WINDOWS = st.builds(Window, limit=st.integers(5, 40), seconds=st.sampled_from([10, 60, 3600]))
PACES = st.builds(Pace, per_second=st.sampled_from([0.5, 1.0, 3.0, 7.0]), burst=st.integers(1, 5))
# Weight, seconds that pass before it is asked for, and what the venue then says was used.
CALLS = st.tuples(
    st.integers(1, 5), st.floats(0, 40, allow_subnormal=False), st.none() | st.integers(0, 50)
)
# Spends one by one until refused, and prints how often that went well.
SPENDER = """
import sys
from pathlib import Path
from crypto_pipeline.errors import ToldToWaitError
from crypto_pipeline.source.budget import Budget, Window

window = Window(limit=300, seconds=10**9)
budget = Budget("venue", [window], file=Path(sys.argv[1]), patience_seconds=0)
spent = 0
try:
    while True:
        budget.take()
        spent += 1
except ToldToWaitError:
    print(spent)
"""


def budget(*allowances: Allowance, clock: FakeClock, file: Path | None = None) -> Budget:
    return Budget("venue", allowances, clock=clock, file=file)


@given(st.lists(WINDOWS, max_size=2), PACES, st.lists(CALLS, max_size=40))
def test_no_sequence_of_calls_exceeds_it(
    windows: list[Window], pace: Pace, calls: list[tuple[int, float, int | None]]
) -> None:
    clock = FakeClock()
    ours = budget(*windows, pace, clock=clock)
    spent: list[tuple[float, int]] = []
    refused: list[float] = []
    for weight, pause, used in calls:
        clock.at += timedelta(seconds=pause)
        try:
            ours.take(weight)
        except ToldToWaitError as error:
            refused.append(error.retry_after_seconds)
        else:
            spent.append((clock.at.timestamp(), weight))
            ours.learn(used)
    assert min(refused, default=21.0) > 20
    for window in windows:
        sums: dict[int, int] = {}
        for at, weight in spent:
            number = int(at // window.seconds)
            sums[number] = sums.get(number, 0) + weight
        assert max(sums.values(), default=0) <= window.limit
    for n, (first, _) in enumerate(spent):
        for count, (last, _) in enumerate(spent[n:], start=1):
            assert count <= pace.burst + (last - first) * pace.per_second + 0.01


def test_a_full_window_is_waited_for_when_its_end_is_near() -> None:
    clock = FakeClock(NOW.replace(second=45))
    ours = budget(MINUTE, clock=clock)
    ours.take(20)
    ours.take(1)
    assert clock.at == NOW.replace(minute=6, second=0, microsecond=1000)
    assert ours.used() == 1


def test_a_refused_call_spends_nothing_and_says_when_to_come_back() -> None:
    clock = FakeClock()
    ours = budget(MINUTE, Pace(per_second=1.0), clock=clock)
    ours.take(19)
    with pytest.raises(ToldToWaitError, match="19 of 20 a minute are spent") as caught:
        ours.take(2)
    assert caught.value.retry_after_seconds == pytest.approx(55, abs=0.01)
    assert (ours.used(), clock.sleeps) == (19, [])
    ours.take(1)
    assert ours.used() == 20


def test_a_burst_is_free_and_then_the_pace_holds() -> None:
    clock = FakeClock()
    ours = budget(Pace(per_second=2.0, burst=3), clock=clock)
    for _ in range(3):
        ours.take()
    assert clock.sleeps == []
    ours.take()
    assert sum(clock.sleeps) == pytest.approx(0.5, abs=0.01)


def test_a_clock_that_is_put_back_does_not_close_the_venue() -> None:
    clock = FakeClock()
    ours = budget(Pace(per_second=2.0, burst=3), clock=clock)
    ours.take()
    clock.at -= timedelta(days=3)
    ours.take()
    assert sum(clock.sleeps) <= 3 / 2.0


def test_the_venues_count_is_believed_when_it_is_higher() -> None:
    ours = budget(MINUTE, clock=FakeClock())
    ours.take(5)
    for told, used in ((3, 5), (None, 5), (17, 17)):
        ours.learn(told)
        assert ours.used() == used
    with pytest.raises(ToldToWaitError):
        ours.take(4)


@pytest.mark.parametrize("seconds", [90.0, 3600.0])
def test_a_venues_word_is_kept_to_the_second(seconds: float) -> None:
    clock = FakeClock()
    ours = budget(MINUTE, clock=clock)
    ours.told_to_wait(seconds)
    ours.told_to_wait(1)
    clock.at += timedelta(seconds=seconds - 21)
    with pytest.raises(ToldToWaitError, match="the venue said to wait") as caught:
        ours.take()
    assert caught.value.retry_after_seconds == pytest.approx(21)
    clock.at += timedelta(seconds=2)
    ours.take()
    assert clock.at == NOW + timedelta(seconds=seconds)


def test_another_process_keeps_it_too(tmp_path: Path) -> None:
    """What each minute's poll is: a budget of its own over the same file."""
    clock, file = FakeClock(), tmp_path / "new" / "venue.json"
    budget(MINUTE, clock=clock, file=file).take(18)
    budget(MINUTE, clock=clock, file=file).told_to_wait(30)
    later = budget(MINUTE, clock=clock, file=file)
    assert later.used() == 18
    with pytest.raises(ToldToWaitError, match="said to wait"):
        later.take()
    clock.at += timedelta(seconds=30)
    with pytest.raises(ToldToWaitError, match="18 of 20"):
        later.take(3)


def test_two_processes_at_once_share_one_limit(tmp_path: Path) -> None:
    file = tmp_path / "venue.json"
    spenders = [
        subprocess.Popen(
            [sys.executable, "-c", SPENDER, str(file)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    spent = [int(one.communicate(timeout=60)[0]) for one in spenders]
    assert sum(spent) == 300
    number = int(datetime.now(UTC).timestamp() // 10**9)
    assert read_state(file) == {f"window_{10**9}": [number, 300]}


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00", '{"not_before'])
def test_a_broken_file_is_an_unspent_budget(tmp_path: Path, text: str) -> None:
    file = tmp_path / "venue.json"
    file.write_text(text)
    ours = budget(MINUTE, clock=FakeClock(), file=file)
    ours.take(7)
    assert read_state(file)["window_60"][1] == 7


def test_a_kill_before_the_cut_leaves_what_was_written(tmp_path: Path) -> None:
    """The new text comes first and whole; the rest of the older one behind it is passed over."""
    file = tmp_path / "venue.json"
    until = (NOW + timedelta(minutes=5)).isoformat()
    file.write_text(f'{{"not_before": "{until}"}}"window_60": [1, 2]}}')
    with pytest.raises(ToldToWaitError, match="said to wait"):
        budget(MINUTE, clock=FakeClock(), file=file).take()
