"""Two attempts at one batch: whoever is killed, stopped or continued, a record is written once.

A zombie is a client that was stopped in the middle of a run and goes on after, or while, its
successor runs with a wider range.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest
from deltalake import DeltaTable

from crypto_pipeline import stage_commit
from crypto_pipeline.lake import log
from crypto_pipeline.lake.commit import SupersededError, Write, commit
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.stage_run import StageRun
from crypto_pipeline.stages import BRONZE, RAW, SILVER
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.builders import ETH, candle, frame, poll, raw_row, tick
from crypto_pipeline_tests.in_turn import InTurn
from crypto_pipeline_tests.lake.delta_log import record
from crypto_pipeline_tests.topics import send

pytestmark = [pytest.mark.spark, pytest.mark.integration]

GARBAGE = b"\x00 not json"
WAIT_SECONDS = 120
# Before which of bronze's commits the zombie stops, and before which of its successor's it goes on.
FEW = [(0, 0), (2, 0)]
ALL = [*FEW, (0, 1), (1, 0), (0, None)]
Hook = Callable[[Write, CommitRecord], None]


def places(lake: Lake, *keys: str) -> Counter[tuple[object, ...]]:
    """How often each record's coordinates are in the tables."""
    names = ("topic", "epoch", "partition", "offset")
    return Counter(
        tuple(row[name] for name in names)
        for key in keys
        for row in DeltaTable(f"{lake.root}/{key}")
        .to_pyarrow_table(columns=list(names))
        .to_pylist()
    )


def write(lake: Lake, rows: int, record: CommitRecord) -> CommitRecord:
    given = [raw_row(b"x", offset=n) for n in range(rows)]
    path = lake.path(RAW.primary)
    return commit(
        Write(path=path, rows=frame(lake.spark, RAW.primary, given), row_count=rows), record
    )


def test_the_same_batch_with_a_wider_end_is_written_by_neither_half_nor_whole(lake: Lake) -> None:
    lake.ensure(RAW.primary)
    narrow = record(1, ranges={"to": 2}, write_id="first")
    wide = record(1, ranges={"to": 5}, write_id="second")
    write(lake, 2, narrow)
    with pytest.raises(SupersededError):
        write(lake, 5, wide)
    assert sum(places(lake, "raw/records").values()) == 2
    found = log.last_commit(lake.path(RAW.primary))
    assert found is not None
    assert (found.write_id, found.ranges) == ("first", {"to": 2})


def test_a_range_without_a_result_is_committed_and_not_read_again(runner: StageRunner) -> None:
    """A poll alone is no row of silver's primary; its range is done all the same, and maintenance
    that finds nothing to do changes nothing.
    """
    runner.run(BRONZE)
    run = runner.run(SILVER)
    assert (run.batch, run.rows_in, run.rows_out["silver/ticks"]) == (1, 1, 0)
    found = log.last_commit(runner.lake.path(SILVER.primary))
    assert found is not None
    assert (found.batch, found.rows_written) == (1, 0)
    for table in (SILVER.primary, SILVER.sides[0]):
        runner.lake.spark.sql(f"OPTIMIZE delta.`{runner.lake.path(table)}`")
    assert runner.run(SILVER).is_empty


class Acts:
    """Runs in threads of their own, each with a hook before each of its commits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hooks: dict[int, Callable[[], None]] = {}
        monkeypatch.setattr(stage_commit, "commit", self._commit)

    def _commit(self, write: Write, record: CommitRecord) -> CommitRecord:
        hook = self.hooks.get(threading.get_ident())
        if hook is not None:
            hook()
        return commit(write, record)

    def start(self, run: Callable[[], StageRun], before: Callable[[int], None]) -> threading.Thread:
        count = [0]

        def hook() -> None:
            before(count[0])
            count[0] += 1

        def body() -> None:
            self.hooks[threading.get_ident()] = hook
            run()

        thread = threading.Thread(target=body)
        thread.start()
        return thread


@pytest.mark.prove
@pytest.mark.parametrize(("stopped_before", "continued_before"), ALL if proof.is_full() else FEW)
def test_a_stopped_client_that_goes_on_during_or_after_its_successors_run_doubles_nothing(
    runner: StageRunner,
    servers: Settings,
    monkeypatch: pytest.MonkeyPatch,
    stopped_before: int,
    continued_before: int | None,
) -> None:
    """Numbers are commits of bronze: the claim is 0. None: the successor ends first.

    What the zombie has committed its successor leaves out: of (2, 0) it has the last alone to make.
    """
    send(servers, tick(), poll(), GARBAGE)
    runner.run(RAW)
    # One commit after the other, so that a number names a commit.
    monkeypatch.setattr(stage_commit, "ThreadPoolExecutor", InTurn)
    stopped, go_on = threading.Event(), threading.Event()
    acts = Acts(monkeypatch)

    def zombie_waits(number: int) -> None:
        if number == stopped_before and not go_on.is_set():
            stopped.set()
            assert go_on.wait(WAIT_SECONDS)

    zombie = acts.start(lambda: runner.run(BRONZE), zombie_waits)
    assert stopped.wait(WAIT_SECONDS)
    send(servers, candle(), tick(symbol=ETH), candle(symbol=ETH))
    runner.run(RAW)

    def zombie_goes_on(number: int) -> None:
        if number == continued_before:
            go_on.set()
            zombie.join(WAIT_SECONDS)

    successor = acts.start(lambda: runner.run(BRONZE), zombie_goes_on)
    successor.join(WAIT_SECONDS)
    assert go_on.is_set() == (continued_before is not None), "it has not gone on during the run"
    go_on.set()
    zombie.join(WAIT_SECONDS)
    assert not zombie.is_alive()
    assert not successor.is_alive()
    while not runner.run(BRONZE).is_empty:
        pass
    raw = places(runner.lake, "raw/records")
    assert len(raw) == 7
    bronze = (table.key for table in BRONZE.outputs)
    assert places(runner.lake, *bronze) == raw
