"""The arithmetic of a run that needs no JVM; the rest is in test_run_stage_spark.py."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crypto_pipeline.books import Counts, check_books
from crypto_pipeline.errors import BooksError
from crypto_pipeline.planned_input import totals
from crypto_pipeline.range_bytes import topic_rows
from crypto_pipeline.stage import StageResult
from crypto_pipeline.stage_run import StageRun
from crypto_pipeline.stages import BRONZE

EQUATIONS = {
    "tick": "bronze/ticks",
    "candle": "bronze/candles",
    "poll": "bronze/polls",
    "rejected": "bronze/rejected",
}
BALANCED = {"tick": 3, "rejected": 2}
OUTPUTS = {"bronze/ticks": 3, "bronze/candles": 0, "bronze/polls": 0, "bronze/rejected": 2}
RESULT = StageResult(outputs={}, classified=(), equations=EQUATIONS)


def counts(outcomes: dict[str, int], outputs: dict[str, int]) -> Counts:
    return Counts(outcomes=outcomes, outputs=outputs, spans={}, replacing={})


def test_totals_add_rows_and_span_all_facts() -> None:
    rows, span = totals([[3, 60.0, 120.0], [0, None, None], [2, 30.5, 90.0]])
    assert rows == 5
    assert span == (
        datetime(1970, 1, 1, 0, 0, 30, 500_000, tzinfo=UTC),
        datetime(1970, 1, 1, 0, 2, tzinfo=UTC),
    )


def test_totals_of_nothing_have_no_span() -> None:
    assert totals([]) == (0, None)
    assert totals([[0, None, None]]) == (0, None)


def test_the_epoch_is_a_time_like_any_other() -> None:
    assert totals([[1, 0.0, 0.0]])[1] == (datetime(1970, 1, 1, tzinfo=UTC),) * 2


def test_rows_of_topics_are_their_offsets() -> None:
    partitions = {"0": [5, 9], "1": [2, 2]}
    ranges = {"kafka": {"topics": {"a": {"partitions": partitions}, "b": {"partitions": {}}}}}
    assert topic_rows(ranges) == 4


def test_books_that_balance_pass() -> None:
    check_books(BRONZE, 5, counts(BALANCED, OUTPUTS), RESULT)


@pytest.mark.parametrize(
    ("rows_in", "outcomes", "outputs", "words"),
    [
        (6, BALANCED, OUTPUTS, "read 6 rows and accounts for"),
        (4, BALANCED, OUTPUTS, "read 4 rows and accounts for"),
        (5, BALANCED, {**OUTPUTS, "bronze/ticks": 2}, "would write 2 rows to bronze/ticks"),
        (5, BALANCED, {**OUTPUTS, "bronze/polls": 1}, "would write 1 rows to bronze/polls"),
        (5, {"tick": 5}, OUTPUTS, "would write"),
    ],
)
def test_books_that_do_not_balance_are_refused(
    rows_in: int, outcomes: dict[str, int], outputs: dict[str, int], words: str
) -> None:
    with pytest.raises(BooksError, match=rf"{words}[\s\S]*Nothing was written"):
        check_books(BRONZE, rows_in, counts(outcomes, outputs), RESULT)


def test_a_run_knows_whether_it_did_something_and_whether_it_balances() -> None:
    run = StageRun(
        stage="bronze", batch=1, rows_in=5, outcomes=BALANCED, rows_out=OUTPUTS, ranges={},
        versions={}, seconds=0.0, newest_fact_at=None,
    )  # fmt: skip
    assert not run.is_empty
    assert run.balances
    assert run.rejected == 2
