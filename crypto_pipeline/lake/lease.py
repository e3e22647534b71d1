"""One writer a lake: the Spark server that commits holds a lease, and shows it goes on living.

A lease is a numbered record under the lake's root. A number is taken once, by a conditional
write; the highest rules. Ages are differences of two readings of the store's own clock, and a
holder counts from before it asked, on a clock that also runs while the machine sleeps, so no
host's time of day plays a part. docs/one-writer.md says what is left to trust.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from crypto_pipeline.errors import LeaseHeldError, UnfitStoreError

# Under the lake's root.
FOLDER = "_lease"
# What a server with a lease is started with; it tells which lease a commit was made under.
EPOCH_SETTING = "spark.cryptopipeline.leaseEpoch"
# A store says times in whole seconds, of the record and of its answer.
STORE_CLOCK_SECONDS = 1.0
LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """All in seconds: how often a lease is renewed, how long one lasts without, and how long
    a request that was sent before may still be carried out by the store."""

    renew: float = 10.0
    expiry: float = 30.0
    longest_request: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds it: `machine` and `started` tell a process from another with its number."""

    instance: str
    host: str
    pid: int
    started: str
    machine: str
    since: str

    def sentence(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What an epoch's object says; `renewals` grows, so that a living holder is seen."""

    epoch: int
    holder: Holder
    renewals: int = 0
    is_released: bool = False

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> Record:
        data = json.loads(text)
        return cls(**{**data, "holder": Holder(**data["holder"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The newest record and how many seconds ago, by the store's clock, it was written."""

    record: Record
    age: float


def file_name(epoch: int) -> str:
    """Names in the order of their numbers."""
    return f"{epoch:012d}.json"


class LeaseStore(Protocol):
    """Where the records are; raises StoreAwayError when it does not answer."""

    def newest(self) -> Found | None: ...

    def has(self, epoch: int) -> bool: ...

    def create(self, record: Record) -> bool:
        """Write the epoch's object unless there is one; False when there is."""
        ...

    def replace(self, record: Record) -> None: ...


def now() -> float:
    """Seconds on a clock that nobody sets; it counts a machine's sleep where there is such one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass
class Lease:
    """A lease that is held. `valid_until` is on the clock of `now`."""

    store: LeaseStore
    record: Record
    terms: Terms
    valid_until: float
    clock: Callable[[], float] = now

    @property
    def epoch(self) -> int:
        return self.record.epoch

    def renew(self) -> None:
        """Raises LeaseHeldError when another has taken over, StoreAwayError when it cannot."""
        asked = self.clock()
        if asked >= self.valid_until or self.store.has(self.epoch + 1):
            raise LeaseHeldError(
                f"The lease {self.epoch} of this lake was not renewed in time, and another server "
                "may have taken over. This server stops; it takes a new lease when it may."
            )
        record = replace(self.record, renewals=self.record.renewals + 1)
        self.store.replace(record)
        self.record = record
        self.valid_until = asked + self.terms.expiry

    def release(self) -> None:
        """Say that nothing more will be written, so that the next one need not wait."""
        if self.clock() < self.valid_until:
            self.store.replace(replace(self.record, is_released=True))


def take(
    store: LeaseStore,
    holder: Holder,
    *,
    terms: Terms,
    is_dead: Callable[[Holder], bool],
    say: Callable[[str], None],
    clock: Callable[[], float] = now,
    sleep: Callable[[float], None] = time.sleep,
) -> Lease:
    """Take the next number as soon as the former holder is out of it.

    Raises LeaseHeldError when the holder is seen alive, UnfitStoreError when the store ignores
    conditions, StoreAwayError when it does not answer.
    """
    first: Found | None = None
    while True:
        found = store.newest()
        if first is None and found is not None:
            first = found
        # A number that this very holder took before an answer failed is followed by the next.
        left = 0.0
        if found is not None and found.record.holder.instance != holder.instance:
            left = seconds_left(found, terms=terms, is_dead=is_dead)
        if found is not None and left > 0:
            _refuse_if_alive(found, first)
            if found is first:
                say(f"The lake was held by {found.record.holder.sentence()}; waiting {left:.0f} s.")
            sleep(min(left, LOOK_SECONDS))
            continue
        asked = clock()
        record = Record(epoch=1 if found is None else found.record.epoch + 1, holder=holder)
        if store.create(record) or _is_ours(store, record):
            _check_conditions(store, record)
            until = asked + terms.expiry
            return Lease(store=store, record=record, terms=terms, valid_until=until, clock=clock)
        # Another was quicker; it is looked at anew.
        first = None


def refuse_if_held(store: LeaseStore, *, terms: Terms, is_dead: Callable[[Holder], bool]) -> None:
    """For a start by hand: rather a sentence at once than a wait. Raises LeaseHeldError."""
    found = store.newest()
    if found is not None and seconds_left(found, terms=terms, is_dead=is_dead) > 0:
        raise _held(found)


def seconds_left(found: Found, *, terms: Terms, is_dead: Callable[[Holder], bool]) -> float:
    """How long nobody else may take over; 0 when the holder let go or is certainly gone."""
    if found.record.is_released or is_dead(found.record.holder):
        return 0.0
    whole = terms.expiry + terms.longest_request + STORE_CLOCK_SECONDS
    return max(0.0, whole - max(0.0, found.age))


def _refuse_if_alive(found: Found, first: Found | None) -> None:
    if first is not None and (found.record.epoch, found.record.renewals) != (
        first.record.epoch,
        first.record.renewals,
    ):
        raise _held(found)


def _held(found: Found) -> LeaseHeldError:
    return LeaseHeldError(
        f"Another server writes this lake: {found.record.holder.sentence()} (lease "
        f"{found.record.epoch}, renewed {max(0.0, found.age):.0f} s ago). Stop that one, or set "
        "LAKE_ROOT to another lake. If it was killed there, its lease runs out within a minute."
    )


def _is_ours(store: LeaseStore, record: Record) -> bool:
    """Whether a write that was refused had been ours before: its first answer may get lost."""
    found = store.newest()
    return found is not None and found.record == record


def _check_conditions(store: LeaseStore, record: Record) -> None:
    """A store that lets the same number be written twice would let two servers in."""
    if store.create(record):
        raise UnfitStoreError(
            "This object store ignores `If-None-Match: *`, so that two writers could overwrite "
            "each other's commits. Use a store that honours conditional writes, or a folder."
        )
