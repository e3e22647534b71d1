"""Topic → table with a real broker and a real lake: exact bytes, exact ranges, kills between."""

from __future__ import annotations

import pytest
from deltalake import DeltaTable

from crypto_pipeline import stage_commit
from crypto_pipeline.errors import TopicChangedError
from crypto_pipeline.lake.commit import Write, commit
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import BRONZE, RAW, SILVER
from crypto_pipeline.stream.ranges import TopicEnds
from crypto_pipeline_tests.builders import ETH, candle, poll, tick
from crypto_pipeline_tests.topics import send

pytestmark = [pytest.mark.spark, pytest.mark.integration]

GARBAGE = b"\xff\x00 not json"


class Killed(BaseException):
    """The worker ends here; nothing in the package may catch it."""


def rows(lake: Lake, key: str) -> list[dict[str, object]]:
    return DeltaTable(f"{lake.root}/{key}").to_pyarrow_table().to_pylist()


def no_later_commit(monkeypatch: pytest.MonkeyPatch, *, allowed: int) -> None:
    """Let so many commits through, then die before the next."""
    left = [allowed]

    def commit_or_die(write: Write, record: CommitRecord) -> CommitRecord:
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        return commit(write, record)

    monkeypatch.setattr(stage_commit, "commit", commit_or_die)


def test_raw_has_every_record_once_with_its_bytes(runner: StageRunner, servers: Settings) -> None:
    facts = [tick(), tick(symbol=ETH), candle()]
    send(servers, *facts, GARBAGE)
    run = runner.run(RAW)
    assert (run.rows_in, run.outcomes, run.rows_out) == (
        4,
        {"accepted": 4},
        {"raw/records": 4},
    )
    found = [row for row in rows(runner.lake, "raw/records") if row["batch"] == run.batch]
    assert sorted(bytes(row["value"]) for row in found) == sorted(
        [GARBAGE, *(fact.encode() for fact in facts)]
    )
    places = {(row["topic"], row["epoch"], row["partition"], row["offset"]) for row in found}
    assert len(places) == 4
    assert runner.run(RAW).is_empty


def test_a_record_that_does_not_parse_is_kept_and_the_run_succeeds(
    runner: StageRunner, servers: Settings
) -> None:
    send(servers, tick(), GARBAGE)
    runner.run(RAW)
    run = runner.run(BRONZE)
    assert run.outcomes == {"tick": 1, "poll": 1, "rejected": 1}
    (kept,) = rows(runner.lake, "bronze/rejected")
    assert (kept["reason"], bytes(kept["value"])) == ("not_json", GARBAGE)


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_a_worker_that_dies_between_commits_repeats_its_range_and_nothing_else(
    runner: StageRunner,
    servers: Settings,
    monkeypatch: pytest.MonkeyPatch,
    allowed: int,
) -> None:
    """Bronze commits its sides, then its primary; more records arrive before the second try."""
    send(servers, tick(), candle(), poll(), GARBAGE)
    runner.run(RAW)
    no_later_commit(monkeypatch, allowed=allowed)
    with pytest.raises(Killed):
        runner.run(BRONZE)
    monkeypatch.undo()
    send(servers, tick(symbol=ETH), candle(symbol=ETH))
    runner.run(RAW)
    first, second = runner.run(BRONZE), runner.run(BRONZE)
    if allowed:
        assert (first.rows_in, second.rows_in) == (5, 2)
    assert runner.run(BRONZE).is_empty
    counts = {
        key: len(rows(runner.lake, key))
        for key in ("bronze/ticks", "bronze/candles", "bronze/polls", "bronze/rejected")
    }
    assert counts == {
        "bronze/ticks": 2,
        "bronze/candles": 2,
        "bronze/polls": 2,
        "bronze/rejected": 1,
    }


def test_a_worker_that_dies_after_the_commit_does_not_write_twice(
    runner: StageRunner, servers: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def commit_and_die(write: Write, record: CommitRecord) -> CommitRecord:
        commit(write, record)
        raise Killed

    send(servers, tick(), tick(symbol=ETH))
    monkeypatch.setattr(stage_commit, "commit", commit_and_die)
    with pytest.raises(Killed):
        runner.run(RAW)
    monkeypatch.undo()
    assert runner.run(RAW).is_empty
    assert len(rows(runner.lake, "raw/records")) == 3


def test_an_attempt_that_another_overtook_takes_the_others_commit_for_the_truth(
    runner: StageRunner, servers: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other commits the same batch with a wider end while this one is about to commit."""
    send(servers, tick())

    def overtaken(write: Write, record: CommitRecord) -> CommitRecord:
        monkeypatch.undo()
        send(servers, tick(symbol=ETH))
        assert runner.run(RAW).rows_in == 2
        return commit(write, record)

    monkeypatch.setattr(stage_commit, "commit", overtaken)
    assert runner.run(RAW).is_empty
    assert len(rows(runner.lake, "raw/records")) == 3
    assert runner.run(RAW).is_empty


def test_a_topic_of_another_identity_is_refused(runner: StageRunner, servers: Settings) -> None:
    def anew() -> TopicEnds:
        ends = runner.read_ends()
        topics = {
            name: type(spec)(topic_id=f"new-{name}", partitions=spec.partitions)
            for name, spec in ends.topics.items()
        }
        return TopicEnds(cluster_id=ends.cluster_id, topics=topics)

    other = StageRunner(lake=runner.lake, read_ends=anew, kafka_options=runner.kafka_options)
    with pytest.raises(TopicChangedError, match="was created anew"):
        other.run(RAW)


def test_silver_takes_a_fact_once_that_was_sent_twice(
    runner: StageRunner, servers: Settings
) -> None:
    send(servers, tick(), candle())
    for stage in (RAW, BRONZE, SILVER):
        runner.run(stage)
    send(servers, tick(), candle(), tick(symbol=ETH))
    for stage in (RAW, BRONZE):
        runner.run(stage)
    run = runner.run(SILVER)
    assert run.outcomes == {"tick": 1, "duplicate": 2}
    ticks = rows(runner.lake, "silver/ticks")
    assert len({row["id"] for row in ticks}) == len(ticks) == 2
    assert len(rows(runner.lake, "silver/set_aside")) == 2
