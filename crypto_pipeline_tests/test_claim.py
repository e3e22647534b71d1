"""The order of a batch's commits, under every kind of interleaving: no Spark, a store in memory.

Two attempts at bronze run step by step as a schedule says; either may be killed at any step, and
raw grows meanwhile, so that they plan different ranges. The store does what Delta does: it takes
one commit a table and transaction number, and says nothing when it takes none.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from crypto_pipeline import plan as plan_module
from crypto_pipeline import stage_commit
from crypto_pipeline.books import Counts
from crypto_pipeline.lake.commit import SupersededError, Write
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.plan import Plan, next_plan
from crypto_pipeline.stage import StageResult
from crypto_pipeline.stages import BRONZE
from crypto_pipeline_tests.in_turn import InTurn
from crypto_pipeline_tests.lake.delta_log import record

RAW = "raw/records"
KINDS = [table.key for table in BRONZE.outputs]
PATH = {key: key for key in (*KINDS, RAW)}
batches = st.lists(st.lists(st.sampled_from(KINDS), max_size=4), min_size=2, max_size=5)


class KilledError(BaseException):
    """The attempt ends here; nothing in the package may catch it."""


@dataclass
class Store:
    """Commits and rows by table; before each access the attempt whose it is waits for its turn."""

    raw: list[list[str]]
    visible: int = 1
    commits: dict[str, list[CommitRecord]] = field(default_factory=dict)
    rows: Counter[tuple[int, int]] = field(default_factory=Counter)
    turn: Callable[[], None] = lambda: None

    def last_commit(self, path: str) -> CommitRecord | None:
        if path == RAW:
            return record(self.visible)
        self.turn()
        found = self.commits.get(path)
        return found[-1] if found else None

    def last_batch(self, path: str) -> int:
        found = self.commits.get(path)
        return found[-1].batch if found else 0

    def since(self, path: str, batch: int) -> list[CommitRecord]:
        assert path == RAW
        return [record(number) for number in range(self.visible, batch, -1)]

    def commit(self, write: Write, made: CommitRecord) -> CommitRecord:
        self.turn()
        if made.batch > self.last_batch(write.path):
            self.commits.setdefault(write.path, []).append(made)
            self.rows.update(write.rows)  # type: ignore[call-overload]
        self.turn()
        newest = self.commits[write.path][-1]
        if newest.write_id != made.write_id:
            raise SupersededError("another attempt has the batch")
        return replace(newest, rows_written=write.row_count)

    def attempt(self) -> None:
        """What `StageRunner.run` does, with lists for frames."""
        for _ in range(5):
            try:
                found = next_plan(BRONZE, path=PATH, ends=None)
                if found is not None:
                    self._commit(found)
                return
            except SupersededError:
                continue

    def _commit(self, found: Plan) -> None:
        span = found.ranges["batches"]
        items = [
            (number, place, kind)
            for number in range(span["after"], span["to"])
            for place, kind in enumerate(self.raw[number])
        ]
        outputs: dict[str, Any] = {
            key: [(number, place) for number, place, kind in items if kind == key] for key in KINDS
        }
        counts = Counts(
            outcomes={},
            outputs={key: len(rows) for key, rows in outputs.items()},
            spans=dict.fromkeys(KINDS, (None, None)),
            replacing={},
        )
        lake: Any = SimpleNamespace(
            path=lambda table: table.key, lease_epoch=0, refuse_if_overtaken=lambda: None
        )
        result = StageResult(outputs=outputs, classified=(), equations={})
        stage_commit.commit_result(lake, BRONZE, found, result, counts)


class Attempt:
    """A thread that goes one step at a time, and may be told to die instead."""

    def __init__(self, store: Store) -> None:
        self.go, self.parked = threading.Semaphore(0), threading.Semaphore(0)
        self.is_over = self.is_killed = False
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._body, args=(store,))
        self.thread.start()

    def _body(self, store: Store) -> None:
        try:
            self.wait()
            for _ in range(3):
                store.attempt()
        except KilledError:
            pass
        except BaseException as error:  # noqa: BLE001 - the test raises it again
            self.error = error
        self.is_over = True
        self.parked.release()

    def wait(self) -> None:
        self.parked.release()
        self.go.acquire()
        if self.is_killed:
            raise KilledError

    def step(self) -> None:
        if not self.is_over:
            self.parked.acquire()
            if not self.is_over:
                self.go.release()


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[Store], None]:
    def use(store: Store) -> None:
        monkeypatch.setattr(plan_module, "log", store)
        monkeypatch.setattr(stage_commit, "commit", store.commit)
        monkeypatch.setattr(stage_commit, "ThreadPoolExecutor", InTurn)

    return use


bursts = st.tuples(st.sampled_from("aabbxyr"), st.integers(min_value=1, max_value=12))


OVERTAKEN = {
    "raw": [
        ["bronze/polls", "bronze/candles", "bronze/candles"],
        [],
        ["bronze/polls", "bronze/candles", "bronze/rejected"],
    ],
    "schedule": [("a", 7), ("b", 1), ("r", 11), ("b", 1), ("a", 3), ("r", 5)],
}


# Found once in some thousand runs: b looks at the sides when a is a whole batch further.
@example(**OVERTAKEN)
@given(raw=batches, schedule=st.lists(bursts, max_size=12))
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_each_record_is_in_one_table_once_however_two_attempts_come_between_each_other(
    in_memory: Callable[[Store], None], raw: list[list[str]], schedule: list[tuple[str, int]]
) -> None:
    """a, b: steps of one attempt; x, y: it is killed; r: raw grows. An attempt that has ended
    its batch goes on with the next, as a successor's successor would.
    """
    store = Store(raw)
    in_memory(store)
    attempts = {"a": Attempt(store), "b": Attempt(store)}
    mine = {one.thread.ident: one for one in attempts.values()}
    store.turn = lambda: mine[threading.get_ident()].wait()
    steps = [what for burst, times in schedule for what in [burst] * times]
    for what in [*steps, *"ab" * 200]:
        if what == "r":
            store.visible = min(store.visible + 1, len(raw))
        elif what in "xy":
            attempts["ab"["xy".index(what)]].is_killed = True
        else:
            attempts[what].step()
    for attempt in attempts.values():
        attempt.thread.join(10)
        assert not attempt.thread.is_alive()
        if attempt.error is not None:
            raise attempt.error
    store.turn, store.visible = lambda: None, len(raw)
    for _ in range(3):
        store.attempt()
    expected = {(n, place) for n, batch in enumerate(raw) for place in range(len(batch))}
    assert store.rows == Counter(expected)
