"""The next range comes from the tables' logs and the topic's ends, and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from crypto_pipeline.errors import TopicChangedError
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.plan import next_plan, topic_ranges
from crypto_pipeline.stages import BRONZE, CANDLES, RAW
from crypto_pipeline.stream.ranges import Span, TopicEnds, TopicSpan
from crypto_pipeline_tests.lake.delta_log import compact, record, write_commit, write_foreign

BITE = 1_000


@pytest.fixture
def path(tmp_path: Path) -> dict[str, str]:
    tables = {*RAW.outputs, *BRONZE.outputs, *CANDLES.reads, *CANDLES.outputs}
    return {table.key: str(tmp_path / table.key) for table in tables}


def ends(
    partitions: Mapping[int, tuple[int, int]],
    *,
    name: str = "t",
    topic_id: str = "id-1",
    cluster: str = "cluster-1",
) -> TopicEnds:
    spans = {number: Span(*span) for number, span in partitions.items()}
    return TopicEnds(
        cluster_id=cluster, topics={name: TopicSpan(topic_id=topic_id, partitions=spans)}
    )


def read_up_to(partitions: Mapping[int, tuple[int, int]]) -> CommitRecord:
    """The commit of a first range that took everything there was."""
    ranges = topic_ranges(None, ends(partitions), BITE)
    assert ranges is not None
    return record(1, ranges=ranges)


def offsets(ranges: Mapping[str, Any] | None) -> dict[str, list[int]]:
    assert ranges is not None
    found = ranges["kafka"]["topics"]["t"]["partitions"]
    assert isinstance(found, dict)
    return found


def test_the_first_range_takes_what_is_there() -> None:
    ranges = topic_ranges(None, ends({0: (0, 5), 1: (3, 9)}), BITE)
    assert offsets(ranges) == {"0": [0, 5], "1": [3, 9]}
    assert ranges is not None
    assert ranges["kafka"]["lost"] == 0
    assert ranges["kafka"]["cluster_id"] == "cluster-1"


def test_nothing_new_is_no_range() -> None:
    assert topic_ranges(None, ends({0: (0, 0)}), BITE) is None
    assert topic_ranges(read_up_to({0: (0, 5)}), ends({0: (0, 5)}), BITE) is None


def test_the_next_range_starts_where_the_last_one_ended() -> None:
    last = read_up_to({0: (0, 5), 1: (0, 2)})
    ranges = topic_ranges(last, ends({0: (0, 8), 1: (0, 2)}), BITE)
    assert offsets(ranges) == {"0": [5, 8], "1": [2, 2]}


def test_a_backlog_is_taken_in_bites() -> None:
    far = ends({0: (0, 2 * BITE + 1)})
    taken, last = [], None
    while (ranges := topic_ranges(last, far, BITE)) is not None:
        taken.append(offsets(ranges)["0"])
        last = record(len(taken), ranges=ranges)
    assert taken == [[0, BITE], [BITE, 2 * BITE], [2 * BITE, 2 * BITE + 1]]


def test_a_new_partition_is_read_from_its_beginning() -> None:
    last = read_up_to({0: (0, 5)})
    assert offsets(topic_ranges(last, ends({0: (0, 5), 1: (0, 4)}), BITE))["1"] == [0, 4]


def test_offsets_that_retention_removed_are_said_as_lost() -> None:
    ranges = topic_ranges(read_up_to({0: (0, 5)}), ends({0: (7, 9)}), BITE)
    assert offsets(ranges) == {"0": [7, 9]}
    assert ranges is not None
    assert ranges["kafka"]["lost"] == 2


def test_a_loss_is_said_even_when_nothing_is_left_to_read() -> None:
    ranges = topic_ranges(read_up_to({0: (0, 5)}), ends({0: (9, 9)}), BITE)
    assert offsets(ranges) == {"0": [9, 9]}
    assert ranges is not None
    assert ranges["kafka"]["lost"] == 4
    again = topic_ranges(record(2, ranges=ranges), ends({0: (9, 9)}), BITE)
    assert again is None


def test_retention_of_what_was_read_is_no_loss() -> None:
    ranges = topic_ranges(read_up_to({0: (0, 5)}), ends({0: (5, 6)}), BITE)
    assert ranges is not None
    assert ranges["kafka"]["lost"] == 0


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (ends({0: (0, 5)}, cluster="cluster-2"), "cluster cluster-1, this one is cluster-2"),
        (ends({0: (0, 5)}, topic_id="id-2"), "Topic t was created anew"),
        (ends({0: (0, 4)}), r"partition 0 ends at 4, but the lake has read up to 5"),
    ],
)
def test_a_topic_that_is_not_the_one_that_was_read_stops_the_stage(
    now: TopicEnds, words: str
) -> None:
    with pytest.raises(TopicChangedError, match=rf"{words}.*LAKE_ROOT"):
        topic_ranges(read_up_to({0: (0, 5)}), now, BITE)


def test_the_epoch_is_kept() -> None:
    last = read_up_to({0: (0, 5)})
    last.ranges["kafka"]["epoch"] = 3
    ranges = topic_ranges(last, ends({0: (0, 6)}), BITE)
    assert ranges is not None
    assert ranges["kafka"]["epoch"] == 3


def test_a_topic_stage_plans_from_its_table(path: dict[str, str]) -> None:
    first = next_plan(RAW, path=path, ends=ends({0: (0, 5)}))
    assert first is not None
    assert (first.batch, first.is_retry, first.done) == (1, False, frozenset())
    write_commit(path["raw/records"], record(1, ranges=first.ranges))
    assert next_plan(RAW, path=path, ends=ends({0: (0, 5)})) is None
    second = next_plan(RAW, path=path, ends=ends({0: (0, 6)}))
    assert second is not None
    assert (second.batch, offsets(second.ranges)) == (2, {"0": [5, 6]})


def test_without_the_stage_before_there_is_nothing_to_do(path: dict[str, str]) -> None:
    assert next_plan(BRONZE, path=path, ends=None) is None
    write_foreign(path["raw/records"])
    assert next_plan(BRONZE, path=path, ends=None) is None


def test_one_batch_brings_what_its_own_commit_says(path: dict[str, str]) -> None:
    write_commit(path["raw/records"], record(1, outputs={"raw/records": [3, 1.0, 2.0]}))
    plan = next_plan(BRONZE, path=path, ends=None)
    assert plan is not None
    assert plan.ranges["batches"] == {
        "table": "raw/records",
        "after": 0,
        "to": 1,
        "before": {},
        "rows": {"raw/records": [3, 1.0, 2.0]},
    }


def test_several_batches_are_taken_at_once_and_counted_by_a_query(path: dict[str, str]) -> None:
    for batch in (1, 2, 3):
        write_commit(path["raw/records"], record(batch))
    write_commit(
        path["bronze/ticks"],
        record(1, ranges={"batches": {"after": 0, "to": 1}, "pinned": {}}),
    )
    plan = next_plan(BRONZE, path=path, ends=None)
    assert plan is not None
    assert plan.batch == 2
    expected = {"table": "raw/records", "after": 1, "to": 3, "before": {}}
    assert plan.ranges["batches"] == expected


def test_a_range_knows_the_newest_fact_before_it_whatever_came_late(path: dict[str, str]) -> None:
    outputs = [[3, 1.0, 90.0], [2, 5.0, 60.0], [0, None, None], [1, 120.0, 120.0]]
    seen = []
    for batch, said in enumerate(outputs, start=1):
        write_commit(path["raw/records"], record(batch, outputs={"raw/records": said}))
        plan = next_plan(BRONZE, path=path, ends=None)
        assert plan is not None
        seen.append(plan.ranges["batches"]["before"])
        write_commit(path["bronze/ticks"], record(batch, ranges=plan.ranges))
    assert seen == [{}, *[{"raw/records": 90.0}] * 3]


def test_an_output_that_is_ahead_dictates_its_range_and_is_skipped(path: dict[str, str]) -> None:
    for batch in (1, 2):
        write_commit(path["raw/records"], record(batch))
    taken = {"batches": {"table": "raw/records", "after": 0, "to": 1}, "pinned": {"now": "x"}}
    write_commit(path["bronze/rejected"], record(1, ranges=taken))
    plan = next_plan(BRONZE, path=path, ends=None)
    assert plan is not None
    assert plan.is_retry
    assert plan.done == {"bronze/rejected"}
    assert plan.ranges == taken
    write_commit(path["bronze/ticks"], record(1, ranges=taken))
    after = next_plan(BRONZE, path=path, ends=None)
    assert after is not None
    assert (after.batch, after.is_retry, after.ranges["batches"]["after"]) == (2, False, 1)


def test_a_side_that_had_no_rows_lately_is_not_behind(path: dict[str, str]) -> None:
    for batch in (1, 2, 3):
        write_commit(path["raw/records"], record(batch))
        write_commit(
            path["bronze/ticks"],
            record(batch, ranges={"batches": {"after": batch - 1, "to": batch}, "pinned": {}}),
        )
    write_commit(path["bronze/rejected"], record(1))
    assert next_plan(BRONZE, path=path, ends=None) is None


def test_commits_of_maintenance_change_no_range(path: dict[str, str]) -> None:
    write_commit(path["raw/records"], record(1))
    write_commit(
        path["bronze/ticks"], record(1, ranges={"batches": {"after": 0, "to": 1}, "pinned": {}})
    )
    write_foreign(path["bronze/ticks"], 7)
    compact(path["bronze/ticks"])
    assert next_plan(BRONZE, path=path, ends=None) is None
