"""The lease: who may write, who must wait, who is refused, whatever the clocks say."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_pipeline.errors import LeaseHeldError, UnfitStoreError
from crypto_pipeline.lake.lease import (
    FOLDER,
    Found,
    Holder,
    Lease,
    Record,
    Terms,
    refuse_if_held,
    take,
)
from crypto_pipeline.lake.lease_store import FolderStore
from crypto_pipeline.lake.location import Lake

TERMS = Terms()
DAY = 86_400.0


def holder(name: str = "one", **changes: object) -> Holder:
    first = Holder(
        instance=name,
        host=f"{name}.example",
        pid=4711,
        started="1",
        machine="m",
        since="2026-11-25 08:00:00 UTC",
    )
    return replace(first, **changes)  # type: ignore[arg-type]


@dataclass
class World:
    """Real seconds, a store whose clock is off, and what else goes on while someone waits."""

    seconds: float = 1_000_000.0
    store_is_off_by: float = 0.0
    records: dict[int, tuple[Record, float]] = field(default_factory=dict)
    meanwhile: list[Callable[[], None]] = field(default_factory=list)
    ignores_conditions: bool = False
    loses_first_answer: bool = False

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        for action in self.meanwhile:
            action()

    def newest(self) -> Found | None:
        if not self.records:
            return None
        record, written = self.records[max(self.records)]
        # As a bucket says it: both times in whole seconds.
        said = math.floor(self.seconds + self.store_is_off_by)
        return Found(record=record, age=said - math.floor(written + self.store_is_off_by))

    def has(self, epoch: int) -> bool:
        return epoch in self.records

    def create(self, record: Record) -> bool:
        if record.epoch in self.records and not self.ignores_conditions:
            return False
        self.replace(record)
        lost, self.loses_first_answer = self.loses_first_answer, False
        return not lost

    def replace(self, record: Record) -> None:
        self.records[record.epoch] = (record, self.seconds)

    def take(self, name: str, *, off_by: float = 0.0, dead: tuple[str, ...] = ()) -> Lease:
        return take(
            self,
            holder(name),
            terms=TERMS,
            is_dead=lambda one: one.instance in dead,
            say=lambda _: None,
            clock=lambda: self.seconds + off_by,
            sleep=self.sleep,
        )


def test_a_lease_that_was_let_go_is_followed_at_once_by_the_next_number() -> None:
    world = World()
    first = world.take("one")
    first.release()
    begun = world.seconds

    second = world.take("two")

    assert (first.epoch, second.epoch) == (1, 2)
    assert world.seconds == begun


def test_a_second_writer_is_refused_with_the_first_ones_name() -> None:
    world = World()
    first = world.take("one")
    world.meanwhile = [first.renew]

    words = r"process 4711 on one\.example, since 2026-11-25 08:00:00 UTC"
    with pytest.raises(LeaseHeldError, match=words):
        world.take("two")
    with pytest.raises(LeaseHeldError, match=words):
        refuse_if_held(world, terms=TERMS, is_dead=lambda _: False)


def test_a_holder_that_vanished_elsewhere_is_waited_for() -> None:
    world = World()
    first = world.take("one")
    world.sleep(7)
    first.renew()
    vanished_at = world.seconds

    second = world.take("two")

    assert second.epoch == 2
    assert world.seconds >= vanished_at + TERMS.expiry + TERMS.longest_request
    assert world.seconds < vanished_at + TERMS.expiry + TERMS.longest_request + 3


def test_a_holder_that_is_certainly_dead_is_not_waited_for() -> None:
    world = World()
    world.take("one")
    begun = world.seconds

    assert world.take("two", dead=("one",)).epoch == 2
    assert world.seconds == begun


def test_a_holder_that_slept_too_long_does_not_renew() -> None:
    world = World()
    first = world.take("one")
    world.sleep(TERMS.expiry + 1)
    with pytest.raises(LeaseHeldError, match="was not renewed in time"):
        first.renew()

    world.take("two")
    first.release()
    assert not world.records[1][0].is_released
    with pytest.raises(LeaseHeldError, match="may have taken over"):
        first.renew()


def test_a_higher_number_ends_a_lease_even_before_its_time() -> None:
    world = World()
    first = world.take("one")
    world.take("two", dead=("one",))

    with pytest.raises(LeaseHeldError):
        first.renew()


def test_a_number_taken_under_a_lost_answer_is_recognised() -> None:
    world = World(loses_first_answer=True)

    assert world.take("one").epoch == 1
    assert world.take("two", dead=("one",)).epoch == 2


def test_who_was_cut_off_while_taking_does_not_wait_for_itself() -> None:
    world = World()
    world.take("one")
    begun = world.seconds

    assert world.take("one").epoch == 2
    assert world.seconds == begun


def test_a_store_that_ignores_conditions_is_found_out() -> None:
    with pytest.raises(UnfitStoreError, match="ignores `If-None-Match: "):
        World(ignores_conditions=True).take("one")


@given(
    store=st.floats(-DAY, DAY),
    hosts=st.lists(st.floats(-DAY, DAY), min_size=2, max_size=6),
    lives=st.lists(st.floats(0, 100), min_size=6, max_size=6),
    steps=st.lists(st.floats(0.1, 12), min_size=6, max_size=6),
)
def test_no_two_hold_it_whatever_the_clocks_say(
    store: float, hosts: list[float], lives: list[float], steps: list[float]
) -> None:
    """Each lives for a while, renewing with its own rhythm, then stops without a word."""
    world = World(store_is_off_by=store)
    epochs = []
    last_until = -math.inf
    for number, off_by in enumerate(hosts):
        lease = world.take(f"host{number}", off_by=off_by)
        epochs.append(lease.epoch)
        assert world.seconds >= last_until + TERMS.longest_request - 1e-6
        ends = world.seconds + lives[number]
        while world.seconds + steps[number] < ends:
            world.sleep(steps[number])
            lease.renew()
        last_until = lease.valid_until - off_by
    assert epochs == list(range(1, len(hosts) + 1))


def test_of_many_at_once_one_gets_it(tmp_path: Path) -> None:
    """On real files: the others see the winner renewing and are refused."""
    terms = Terms(renew=0.02, expiry=2, longest_request=1)
    start, done = threading.Barrier(6), threading.Event()

    def contend(name: str) -> Lease | None:
        start.wait()
        try:
            lease = take(
                FolderStore(tmp_path / "_lease"),
                holder(name),
                terms=terms,
                is_dead=lambda _: False,
                say=lambda _: None,
                sleep=lambda _: time.sleep(0.05),
            )
        except LeaseHeldError:
            return None
        while not done.wait(terms.renew):
            lease.renew()
        return lease

    with ThreadPoolExecutor(6) as pool:
        work = [pool.submit(contend, str(number)) for number in range(6)]
        refused = 0
        while refused < 5:
            refused = sum(one.done() for one in work)
            time.sleep(0.02)
        done.set()
    assert [one.result() is not None for one in work].count(True) == 1
    assert [file.name for file in (tmp_path / "_lease").iterdir()] == ["000000000001.json"]


def test_a_folder_says_the_age_by_its_own_clock(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "_lease")
    assert store.newest() is None
    assert store.create(Record(epoch=1, holder=holder()))
    assert not store.create(Record(epoch=1, holder=holder("two")))

    found = store.newest()

    assert found is not None
    assert found.record == Record(epoch=1, holder=holder())
    assert 0 <= found.age < 5
    store.replace(replace(found.record, renewals=3))
    assert (store.newest() or found).record.renewals == 3
    assert (store.has(1), store.has(2)) == (True, False)


def test_a_commit_through_a_server_that_was_overtaken_is_refused(tmp_path: Path) -> None:
    """For the case that its guard stands still and cannot end it."""
    lake = Lake(spark=None, root=str(tmp_path), market="simulated", lease_epoch=1)  # type: ignore[arg-type]
    store = FolderStore(tmp_path / FOLDER)
    store.create(Record(epoch=1, holder=holder()))
    lake.refuse_if_overtaken()
    store.create(Record(epoch=2, holder=holder("two")))

    with pytest.raises(LeaseHeldError, match="The lease 1 of this Spark server was taken over"):
        lake.refuse_if_overtaken()
    replace(lake, lease_epoch=0).refuse_if_overtaken()
