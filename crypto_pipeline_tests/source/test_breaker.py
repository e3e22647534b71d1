"""A venue that fails for good is left alone for longer and longer, and asked again in between."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from crypto_pipeline.contract.poll import Outcome
from crypto_pipeline.source.breaker import Breaker
from crypto_pipeline_tests.source.builders import NOW

MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)


@pytest.fixture
def breaker(tmp_path: Path) -> Breaker:
    return Breaker("kraken", tmp_path / "new" / "kraken-breaker.json")


def is_open(breaker: Breaker, after: timedelta = timedelta(0)) -> bool:
    return breaker.why_not(NOW + after) is not None


def fail(breaker: Breaker, outcome: Outcome, after: timedelta = timedelta(0)) -> None:
    breaker.note(outcome, reason=f"because of {outcome}", now=NOW + after)


def test_it_begins_closed_and_stays_so_while_the_venue_answers(breaker: Breaker) -> None:
    assert not is_open(breaker)
    for outcome in ("ok", "partial"):
        fail(breaker, outcome)
        assert not is_open(breaker)


def test_a_permanent_failure_opens_it_at_once_and_says_why(breaker: Breaker) -> None:
    fail(breaker, "permanent")
    assert breaker.why_not(NOW) == (
        "kraken is left alone until 2026-11-23T10:20Z (because of permanent)"
    )


def test_each_permanent_failure_in_a_row_opens_it_for_longer(breaker: Breaker) -> None:
    at = timedelta(0)
    for minutes in (15, 60, 360, 360):
        fail(breaker, "permanent", at)
        end = at + minutes * MINUTE
        assert is_open(breaker, end - TICK)
        # Half open: asked again, and the next answer decides.
        assert not is_open(breaker, end)
        at = end


@pytest.mark.parametrize("outcome", ["ok", "partial"])
def test_an_answer_closes_it_and_forgets(breaker: Breaker, outcome: Outcome) -> None:
    fail(breaker, "permanent")
    fail(breaker, "permanent", 15 * MINUTE)
    fail(breaker, outcome, 75 * MINUTE)
    assert not is_open(breaker, 75 * MINUTE)
    fail(breaker, "permanent", 76 * MINUTE)
    assert not is_open(breaker, 91 * MINUTE)


@pytest.mark.parametrize("outcome", ["transient", "wrong_content"])
def test_passing_failures_open_it_at_the_third(breaker: Breaker, outcome: Outcome) -> None:
    for n in range(2):
        fail(breaker, outcome, n * MINUTE)
        assert not is_open(breaker, n * MINUTE)
    fail(breaker, outcome, 2 * MINUTE)
    assert is_open(breaker, 4 * MINUTE - TICK)
    assert not is_open(breaker, 4 * MINUTE)
    # Half open, one more failure is enough.
    fail(breaker, outcome, 4 * MINUTE)
    assert is_open(breaker, 5 * MINUTE)


def test_an_answer_in_between_starts_the_count_again(breaker: Breaker) -> None:
    for n, outcome in enumerate(("transient", "transient", "ok", "transient", "transient")):
        fail(breaker, outcome, n * MINUTE)  # type: ignore[arg-type]
    assert not is_open(breaker, 5 * MINUTE)


def test_a_venue_that_says_to_wait_has_not_failed(breaker: Breaker) -> None:
    fail(breaker, "transient")
    fail(breaker, "transient")
    for _ in range(5):
        fail(breaker, "told_to_wait")
    assert not is_open(breaker)
    fail(breaker, "transient")
    assert is_open(breaker)


def test_another_process_knows_it(breaker: Breaker) -> None:
    fail(breaker, "permanent")
    again = Breaker("kraken", breaker._file)
    assert again.why_not(NOW) == breaker.why_not(NOW)
    assert again.why_not(NOW) is not None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"later": 1}'])
def test_a_broken_file_is_a_closed_breaker(breaker: Breaker, text: str) -> None:
    breaker._file.parent.mkdir()
    breaker._file.write_text(text)
    assert not is_open(breaker)
    fail(breaker, "permanent")
    assert is_open(breaker)


def test_the_remedy_is_logged_once_for_a_refusal(
    breaker: Breaker, caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(4):
        fail(breaker, "permanent", n * timedelta(hours=7))
    assert [record.getMessage() for record in caplog.records] == [
        "kraken is left alone until 2026-11-23T10:20:05+00:00: because of permanent"
    ]
