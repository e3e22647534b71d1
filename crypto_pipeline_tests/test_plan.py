"""The next range comes from the tables' logs and the topic's ends, and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from crypto_pipeline.errors import LakeError, TopicChangedError
from crypto_pipeline.lake.commit import SupersededError
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.plan import Plan, batch_ranges, next_plan
from crypto_pipeline.planned_input import fitted
from crypto_pipeline.range_bytes import LOOSE, bytes_of, note_sizes, topic_rows
from crypto_pipeline.stages import BRONZE, CANDLES, RAW
from crypto_pipeline.stream.ranges import Span, TopicEnds, TopicSpan
from crypto_pipeline.topic_range import Bite, adopted_ranges, change, topic_ranges
from crypto_pipeline_tests.lake.delta_log import (
    clean_up,
    compact,
    record,
    write_again,
    write_commit,
    write_foreign,
)

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
    ranges = topic_ranges(None, ends(partitions), bite=Bite(rows=BITE))
    assert ranges is not None
    return record(1, ranges=ranges)


def offsets(ranges: Mapping[str, Any] | None) -> dict[str, list[int]]:
    assert ranges is not None
    found = ranges["kafka"]["topics"]["t"]["partitions"]
    assert isinstance(found, dict)
    return found


def test_the_first_range_takes_what_is_there() -> None:
    ranges = topic_ranges(None, ends({0: (0, 5), 1: (3, 9)}), bite=Bite(rows=BITE))
    assert offsets(ranges) == {"0": [0, 5], "1": [3, 9]}
    assert ranges is not None
    assert ranges["kafka"]["lost"] == 0
    assert ranges["kafka"]["cluster_id"] == "cluster-1"


def test_nothing_new_is_no_range() -> None:
    assert topic_ranges(None, ends({0: (0, 0)}), bite=Bite(rows=BITE)) is None
    assert topic_ranges(read_up_to({0: (0, 5)}), ends({0: (0, 5)}), bite=Bite(rows=BITE)) is None


def test_the_next_range_starts_where_the_last_one_ended() -> None:
    last = read_up_to({0: (0, 5), 1: (0, 2)})
    ranges = topic_ranges(last, ends({0: (0, 8), 1: (0, 2)}), bite=Bite(rows=BITE))
    assert offsets(ranges) == {"0": [5, 8], "1": [2, 2]}


def test_a_backlog_is_taken_in_bites() -> None:
    far = ends({0: (0, 2 * BITE + 1)})
    taken, last = [], None
    while (ranges := topic_ranges(last, far, bite=Bite(rows=BITE))) is not None:
        taken.append(offsets(ranges)["0"])
        last = record(len(taken), ranges=ranges)
    assert taken == [[0, BITE], [BITE, 2 * BITE], [2 * BITE, 2 * BITE + 1]]


def test_every_partition_gives_the_same_share_of_its_backlog() -> None:
    """Records of one minute lie on several partitions; none may run ahead of the others."""
    ranges = topic_ranges(
        None, ends({0: (0, 900), 1: (10, 2_110), 2: (0, 0)}), bite=Bite(rows=BITE)
    )
    assert offsets(ranges) == {"0": [0, 300], "1": [10, 710], "2": [0, 0]}
    assert ranges is not None
    assert ranges["kafka"]["left"] == 2_000


def test_a_bite_is_bounded_by_the_bytes_that_records_of_the_topic_had_before() -> None:
    last = read_up_to({0: (0, 5)})
    last.ranges["kafka"]["topics"]["t"]["mean_bytes"] = 40_000.0
    waiting = ends({0: (0, 505)})
    assert offsets(topic_ranges(last, waiting, bite=Bite(rows=BITE))) == {"0": [5, 505]}
    ranges = topic_ranges(last, waiting, bite=Bite(rows=BITE, bytes=4_000_000))
    assert offsets(ranges) == {"0": [5, 105]}
    assert ranges is not None
    assert ranges["kafka"]["topics"]["t"]["mean_bytes"] == 40_000.0


def test_records_that_turn_out_longer_than_those_before_are_cut_to_the_bytes_of_a_bite() -> None:
    """The mean of the range before says nothing about a burst; so many long ones fill a heap."""
    last = read_up_to({0: (0, 5), 1: (0, 5)})
    found = topic_ranges(last, ends({0: (0, 405), 1: (0, 205)}), bite=Bite(rows=BITE))
    assert found is not None
    length, weighings = 1_000_000, []

    def weigh(plan: Plan) -> dict[str, int]:
        weighings.append(topic_rows(plan.ranges))
        return {"t": topic_rows(plan.ranges) * length}

    plan = Plan(batch=2, ranges=found, done=frozenset(), is_retry=False)
    bite = Bite(rows=BITE, bytes=60 * length)
    taken = fitted(plan, bite=bite, weigh=weigh)
    assert offsets(taken.ranges) == {"0": [5, 45], "1": [5, 25]}
    assert taken.left == taken.ranges["kafka"]["left"] == 540
    assert bytes_of(taken.ranges) == 60 * length
    assert weighings == [600, 60]


def test_a_burst_at_the_beginning_is_cut_until_it_fits() -> None:
    found = topic_ranges(None, ends({0: (0, 1_000)}), bite=Bite(rows=BITE))
    assert found is not None

    def weigh(plan: Plan) -> dict[str, int]:
        (_, end), *_ = offsets(plan.ranges).values()
        return {"t": min(end, 100) * 900_000 + max(0, end - 100) * 1_000}

    plan = Plan(batch=2, ranges=found, done=frozenset(), is_retry=False)
    taken = fitted(plan, bite=Bite(bytes=20_000_000), weigh=weigh)
    assert weigh(taken)["t"] <= LOOSE * 20_000_000
    assert topic_rows(taken.ranges) + taken.left == 1_000


def test_records_longer_than_a_bite_go_one_from_each_partition() -> None:
    found = topic_ranges(None, ends({0: (0, 9), 1: (0, 9)}), bite=Bite(rows=BITE))
    assert found is not None
    plan = Plan(batch=1, ranges=found, done=frozenset(), is_retry=False)
    taken = fitted(plan, bite=Bite(bytes=10), weigh=lambda _: {"t": 9_000})
    assert offsets(taken.ranges) == {"0": [0, 1], "1": [0, 1]}


def test_records_too_few_to_fill_a_bite_are_not_weighed() -> None:
    """A weighing reads them once more, and a minute of a watch-list has no time for it."""
    found = topic_ranges(None, ends({0: (0, 40)}), bite=Bite(rows=BITE))
    assert found is not None

    def weigh(_: Plan) -> dict[str, int]:
        raise AssertionError("nothing is to be weighed")

    plan = Plan(batch=1, ranges=found, done=frozenset(), is_retry=False)
    assert fitted(plan, bite=Bite(), weigh=weigh) is plan


def test_one_record_that_is_larger_than_a_bite_is_taken_all_the_same() -> None:
    assert offsets(topic_ranges(None, ends({0: (0, 9)}), bite=Bite(bytes=1))) == {"0": [0, 1]}


@pytest.mark.parametrize(
    "now",
    [
        ends({0: (0, 5)}, cluster="cluster-2"),
        ends({0: (0, 7)}, topic_id="id-2"),
        ends({0: (2, 4)}),
    ],
)
def test_what_is_adopted_is_read_from_its_beginning_under_the_next_epoch(now: TopicEnds) -> None:
    last = read_up_to({0: (0, 5)})
    assert change(last, now) is not None
    adopted = record(2, ranges=adopted_ranges(last, now))
    assert change(adopted, now) is None
    span = now.topics["t"].partitions[0]
    ranges = topic_ranges(adopted, now)
    assert offsets(ranges) == {"0": [span.beginning, span.end]}
    assert ranges is not None
    assert (ranges["kafka"]["epoch"], ranges["kafka"]["lost"]) == (1, 0)


def test_a_topic_that_is_the_same_goes_on_where_it_was_when_another_is_adopted() -> None:
    def both(topic_id: str) -> TopicEnds:
        one, two = ends({0: (0, 9)}), ends({0: (0, 9)}, name="u", topic_id=topic_id)
        return TopicEnds(cluster_id="cluster-1", topics={**one.topics, **two.topics})

    first = topic_ranges(None, both("id-1"))
    assert first is not None
    adopted = record(2, ranges=adopted_ranges(record(1, ranges=first), both("id-2")))
    ranges = topic_ranges(adopted, both("id-2"))
    assert ranges is not None
    found = ranges["kafka"]["topics"]
    assert (found["t"]["partitions"], found["u"]["partitions"]) == ({"0": [9, 9]}, {"0": [0, 9]})


def test_a_new_partition_is_read_from_its_beginning() -> None:
    last = read_up_to({0: (0, 5)})
    assert offsets(topic_ranges(last, ends({0: (0, 5), 1: (0, 4)}), bite=Bite(rows=BITE)))["1"] == [
        0,
        4,
    ]


def test_offsets_that_retention_removed_are_said_as_lost() -> None:
    ranges = topic_ranges(read_up_to({0: (0, 5)}), ends({0: (7, 9)}), bite=Bite(rows=BITE))
    assert offsets(ranges) == {"0": [7, 9]}
    assert ranges is not None
    assert ranges["kafka"]["lost"] == 2
    assert ranges["kafka"]["gone"] == {"t": {"0": [5, 7]}}


def test_a_loss_is_said_even_when_nothing_is_left_to_read() -> None:
    ranges = topic_ranges(read_up_to({0: (0, 5)}), ends({0: (9, 9)}), bite=Bite(rows=BITE))
    assert offsets(ranges) == {"0": [9, 9]}
    assert ranges is not None
    assert ranges["kafka"]["lost"] == 4
    again = topic_ranges(record(2, ranges=ranges), ends({0: (9, 9)}), bite=Bite(rows=BITE))
    assert again is None


def test_retention_of_what_was_read_is_no_loss() -> None:
    ranges = topic_ranges(read_up_to({0: (0, 5)}), ends({0: (5, 6)}), bite=Bite(rows=BITE))
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
        topic_ranges(read_up_to({0: (0, 5)}), now, bite=Bite(rows=BITE))


def test_the_epoch_is_kept() -> None:
    last = read_up_to({0: (0, 5)})
    last.ranges["kafka"]["epoch"] = 3
    ranges = topic_ranges(last, ends({0: (0, 6)}), bite=Bite(rows=BITE))
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


def test_batches_are_taken_in_bites_of_whole_batches(path: dict[str, str]) -> None:
    for batch, rows in enumerate((600, 300, 200, 5_000, 1), start=1):
        said = {"raw/records": [rows, None, None]}
        write_commit(path["raw/records"], record(batch, outputs=said))
    last, taken = None, []
    for batch in range(1, 6):
        ranges, left = batch_ranges(BRONZE, last, path, bite=Bite(rows=BITE))
        if ranges is None:
            break
        taken.append((ranges["batches"]["after"], ranges["batches"]["to"], left))
        last = record(batch, ranges=ranges)
    assert taken == [(0, 2, 3), (2, 3, 2), (3, 4, 1), (4, 5, 0)]


def test_batches_of_long_records_are_taken_one_by_one_and_their_bytes_go_with_them(
    path: dict[str, str],
) -> None:
    for batch, length in enumerate((10, 10, 50_000, 50_000), start=1):
        ranges = topic_ranges(None, ends({0: (0, 100)}), bite=Bite(rows=BITE))
        assert ranges is not None
        note_sizes(ranges, {"t": 100 * length})
        said = {"raw/records": [100, None, None]}
        write_commit(path["raw/records"], record(batch, ranges=ranges, outputs=said))
    last, taken = None, []
    for batch in (1, 2):
        ranges, left = batch_ranges(BRONZE, last, path, bite=Bite(rows=BITE, bytes=6_000_000))
        assert ranges is not None
        taken.append((ranges["batches"]["to"], bytes_of(ranges), left))
        last = record(batch, ranges=ranges)
    assert taken == [(3, 5_002_000, 1), (4, 5_000_000, 0)]


def test_outputs_that_are_ahead_with_different_ranges_stop_the_stage(path: dict[str, str]) -> None:
    for batch in (1, 2):
        write_commit(path["raw/records"], record(batch))
    for key, to in (("bronze/polls", 1), ("bronze/candles", 2)):
        write_commit(path[key], record(1, ranges={"batches": {"after": 0, "to": to}}))
    with pytest.raises(LakeError, match=r"bronze/candles, bronze/polls.*Two writers"):
        next_plan(BRONZE, path=path, ends=None)


def test_a_side_that_is_two_batches_ahead_means_that_the_primary_has_moved_on(
    path: dict[str, str],
) -> None:
    """Its range belongs to another batch than the one that was to be planned."""
    write_commit(path["raw/records"], record(1))
    write_commit(path["bronze/polls"], record(2))
    with pytest.raises(SupersededError):
        next_plan(BRONZE, path=path, ends=None)


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
    assert plan.left == 1
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


@pytest.mark.parametrize("key", ["bronze/ticks", "bronze/candles"])
def test_a_clean_up_of_the_log_loses_no_range_that_was_committed_again(
    path: dict[str, str], key: str
) -> None:
    """The primary's range is committed again by maintenance; a side's is not needed."""
    write_commit(path["raw/records"], record(1))
    done = {"batches": {"after": 0, "to": 1}, "pinned": {}}
    write_commit(path["bronze/candles"], record(1, ranges=done))
    write_commit(path["bronze/ticks"], record(1, ranges=done))
    for _ in range(100):
        write_foreign(path[key])
        compact(path[key])
    assert next_plan(BRONZE, path=path, ends=None) is None
    if key == "bronze/ticks":
        write_again(path[key], record(1, ranges=done))
    clean_up(path[key])
    assert next_plan(BRONZE, path=path, ends=None) is None
    write_commit(path["raw/records"], record(2))
    plan = next_plan(BRONZE, path=path, ends=None)
    assert plan is not None
    assert (plan.batch, plan.done, plan.ranges["batches"]["after"]) == (2, frozenset(), 1)
