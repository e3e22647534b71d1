"""Random sequences of everything that happens to a lake, against the reference, step by step."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace

from crypto_pipeline import stage_commit
from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.lake.commit import Write, commit
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import BRONZE, CANDLES, RAW, SILVER
from crypto_pipeline.stream.publish import Outgoing, Publisher
from crypto_pipeline.stream.ranges import read_ends
from crypto_pipeline.stream.topics import open_ready_producer
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.builders import AT, BTC, ETH, MINUTE, candle, poll, tick
from crypto_pipeline_tests.model.reference import STAGES, Reference, Sent
from crypto_pipeline_tests.topics import NAMES, clipped

pytestmark = [
    pytest.mark.spark,
    pytest.mark.integration,
    pytest.mark.prove,
    pytest.mark.timeout(7_200),
]

OF_NAME = dict(zip(STAGES, (RAW, BRONZE, SILVER, CANDLES), strict=True))
SYMBOLS = (BTC, ETH)
SEQUENCES = 3
TOPICS = {"Tick": NAMES[0], "bytes": NAMES[0], "Candle": NAMES[1], "PollRecord": NAMES[2]}
# The first is what a sequence of Hypothesis begins with, before it draws at random.
KINDS = (
    "publish",
    "delay",
    "reorder",
    "duplicate",
    "contradict",
    "garble",
    "replay",
    "run",
    "cycle",
    "crash",
    "compact",
)
SEVERAL_TABLES = [name for name in STAGES if len(OF_NAME[name].outputs) > 1]
# How many of them a sequence must have: one of 25 steps may lack a few. In one of 300 each had an
# effect, some runs died, and some of those left a range half committed.
FULL = 300
ENOUGH = {25: 6, FULL: len(KINDS)}


class KilledError(BaseException):
    """The worker ends here; nothing in the package may catch it."""


class Machine(RuleBasedStateMachine):
    """Publish, duplicate, delay, reorder, crash, retry, compact, replay; one lake a sequence.

    All of them are one rule: of several Hypothesis leaves some out of a whole sequence.
    """

    make_runner: ClassVar[Callable[[], StageRunner]]
    publisher: ClassVar[Publisher]
    # Of the newest sequence: steps by kind, those that changed something, and what crashes did.
    steps: ClassVar[Counter[str]]
    effects: ClassVar[Counter[str]]
    crashes: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        own = type(self)
        own.steps, own.effects, own.crashes = Counter(), Counter(), Counter()
        self.reference = Reference()
        self.runner = type(self).make_runner()
        self.minute = 0
        self.held: list[Sent] = []

    @rule(kind=st.sampled_from(KINDS), number=st.integers(min_value=0, max_value=2**32))
    def step(self, kind: str, number: int) -> None:
        before = self._state()
        getattr(self, kind)(random.Random(number))
        type(self).steps[kind] += 1
        type(self).effects[kind] += self._state() != before

    def _state(self) -> tuple[int, int, int]:
        """Records sent, records held back, and commits since each table was made."""
        logs = Path(self.runner.lake.root).glob("*/*/_delta_log")
        commits = sum(len(list(log.glob("*.json"))) - 1 for log in logs)
        return len(self.reference.topic), len(self.held), commits

    def _send(self, *facts: Sent) -> None:
        """One after the other, so that the order on a partition is the order of the list."""
        messages = [
            Outgoing(
                topic=TOPICS[type(fact).__name__],
                key=b"k" if isinstance(fact, bytes) else fact.key,
                value=fact if isinstance(fact, bytes) else fact.encode(),
            )
            for fact in facts
        ]
        self.publisher.publish(messages, deadline_seconds=20)
        self.reference.send(*facts)

    def _facts(self, number: int) -> list[Sent]:
        moment = AT + number * MINUTE
        price = Decimal(1000 + number * 37 % 101)
        ticks = [tick(symbol=s, poll_at=moment, price=price, bid=price, ask=price) for s in SYMBOLS]
        bars = [
            candle(symbol=s, open_at=moment - MINUTE, open=price, high=price + 2, low=price - 1,
                   close=price + 1)
            for s in SYMBOLS
        ]  # fmt: skip
        return [*ticks, *bars]

    def publish(self, _: random.Random) -> None:
        """The next minute of two symbols, and the poll that brought it."""
        self.minute += 1
        moment = AT + self.minute * MINUTE
        record = poll(poll_at=moment, started_at=moment, ended_at=moment)
        self._send(*self._facts(self.minute), record)

    def delay(self, dice: random.Random) -> None:
        """A minute, or one of 30 hours before, is held back; its records come some time later."""
        self.minute += 1
        self.held += self._facts(self.minute - 60 * dice.choice([0, 0, 30]))

    def reorder(self, dice: random.Random) -> None:
        """What was held back comes now, in any order."""
        held, self.held = self.held, []
        dice.shuffle(held)
        self._send(*held)

    def duplicate(self, dice: random.Random) -> None:
        if self.reference.topic:
            self._send(dice.choice(self.reference.topic))

    def contradict(self, dice: random.Random) -> None:
        """The same tick with another price, or a candle that the venue corrected."""
        facts = [f for f in self.reference.topic if isinstance(f, Tick | Candle)]
        if not facts:
            return
        fact = dice.choice(facts)
        if isinstance(fact, Tick):
            self._send(replace(fact, price=fact.price + 1))
        else:
            later = fact.observed_at + timedelta(seconds=dice.choice([1, 2, 3]))
            self._send(replace(fact, close=fact.close - Decimal("0.5"), observed_at=later))

    def garble(self, _: random.Random) -> None:
        self._send(b"\xff no record")

    def replay(self, _: random.Random) -> None:
        """All that a poller would send again from the start of its spool."""
        self._send(*self.reference.topic[-12:])

    def run(self, dice: random.Random) -> None:
        """One stage; after a crash this is the retry."""
        self._run(dice.choice(STAGES))

    def _run(self, name: str) -> None:
        assert self.runner.run(OF_NAME[name]).rows_in == self.reference.commit(name)

    def cycle(self, _: random.Random) -> None:
        for name in STAGES:
            self._run(name)

    def crash(self, dice: random.Random) -> None:
        """The worker dies before one of its commits, or after it was made, unheard.

        Mostly in a cycle that came as far, or nothing would wait for it. Stages of one table can
        leave nothing half committed, so those of several are drawn more often.
        """
        name = dice.choice((*STAGES, *SEVERAL_TABLES, *SEVERAL_TABLES))
        if dice.random() < 0.9:
            for earlier in STAGES[: STAGES.index(name)]:
                self._run(earlier)
        stage, is_after = OF_NAME[name], dice.random() < 0.5
        commits = dice.randrange(len(stage.outputs))
        made: list[str] = []

        def dying(write: Write, record: CommitRecord) -> CommitRecord:
            if len(made) == commits and not is_after:
                raise KilledError
            found = commit(write, record)
            made.append("/".join(write.path.split("/")[-2:]))
            if len(made) > commits:
                raise KilledError
            return found

        stage_commit.commit = dying  # type: ignore[attr-defined]
        try:
            self.runner.run(stage)
        except KilledError:
            type(self).crashes["died"] += 1
        finally:
            stage_commit.commit = commit  # type: ignore[attr-defined]
        if stage.primary.key in made:
            self.reference.commit(name)
        elif made:
            self.reference.pin(name)
            type(self).crashes["pinned"] += 1

    def compact(self, dice: random.Random) -> None:
        tables = [table for stage in OF_NAME.values() for table in stage.outputs]
        path = self.runner.lake.path(dice.choice(tables))
        if (Path(path) / "_delta_log").exists():
            self.runner.lake.spark.sql(f"OPTIMIZE delta.`{path}`").collect()

    @invariant()
    def books_balance(self) -> None:
        reference, lake = self.reference, self.runner.lake
        raw = rows(lake, "raw/records", "topic", "partition", "offset")
        assert len({tuple(row.values()) for row in raw}) == len(raw) == reference.read["raw"]
        if "bronze" not in reference.pinned:
            found = {n: len(rows(lake, f"bronze/{n}", "offset")) for n in BRONZE_NAMES}
            assert +Counter(found) == +reference.bronze_rows()
        if "silver" not in reference.pinned:
            for name, facts in (
                ("ticks", reference.silver.ticks),
                ("candles", reference.silver.candles),
            ):
                ids = Counter(row["id"] for row in rows(lake, f"silver/{name}", "id"))
                assert ids == Counter(list(facts))
            aside = Counter(row["reason"] for row in rows(lake, "silver/set_aside", "reason"))
            assert aside == +reference.silver.aside
        gold = rows(lake, "gold/candles_1m", "symbol", "minute_at", "origin", "close")
        seen = {
            (row["symbol"], row["minute_at"].astimezone(UTC)): (row["origin"], row["close"])
            for row in gold
        }
        assert len(seen) == len(gold)
        assert seen == reference.gold()


BRONZE_NAMES = ("ticks", "candles", "polls", "rejected")


def rows(lake: Lake, key: str, *columns: str) -> list[dict[str, Any]]:
    path = f"{lake.root}/{key}"
    if not (Path(path) / "_delta_log").exists():
        return []
    return list(DeltaTable(path).to_pyarrow_table(columns=list(columns)).to_pylist())


@pytest.mark.parametrize("number", range(SEQUENCES) if proof.is_full() else [0])
def test_a_random_sequence_agrees_with_the_reference_after_every_step(
    lake: Lake, servers: Settings, number: int
) -> None:
    """One sequence a proof, so that each counts by itself; its seed is its own."""
    claim = proof.begin(f"state-machine-{number + 1}", reduced=25, full=FULL)
    made = iter(range(10_000))

    def make_runner() -> StageRunner:
        begin = read_ends(servers, NAMES)
        own = Lake(spark=lake.spark, root=f"{lake.root}-{next(made)}", market=lake.market)
        return StageRunner(
            lake=own,
            read_ends=lambda: clipped(read_ends(servers, NAMES), begin),
            kafka_options={"kafka.bootstrap.servers": servers.kafka_address},
        )

    Machine.make_runner = staticmethod(make_runner)  # type: ignore[assignment]
    with Publisher(servers, connect=open_ready_producer) as publisher:
        Machine.publisher = publisher
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            seed(claim.seed)(Machine),
            settings=settings(
                # The first has one kind of step throughout, the second any.
                max_examples=2,
                stateful_step_count=claim.count,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    assert sum(Machine.steps.values()) == claim.count
    effects, crashes = dict(+Machine.effects), dict(Machine.crashes)
    assert len(Machine.steps) >= ENOUGH[claim.count], Machine.steps
    if claim.count == FULL:
        assert effects.keys() == set(KINDS), effects
        assert crashes.keys() == {"died", "pinned"}, crashes
    claim.record(steps=dict(Machine.steps), with_an_effect=effects, crashes=crashes)
