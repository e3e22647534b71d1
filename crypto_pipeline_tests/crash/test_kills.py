"""kill -9 of the run worker, the Spark server and the broker: nothing is lost, nothing doubled."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from crypto_pipeline.embedded import jars
from crypto_pipeline.stages import STAGES
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.conftest import ROOT, missing
from crypto_pipeline_tests.crash.balance import Balance
from crypto_pipeline_tests.crash.kills import CHUNK, NAMES, RANDOM, kill_all
from crypto_pipeline_tests.crash.own_stack import a_stack
from crypto_pipeline_tests.crash.seams import (
    MOMENTS,
    SEAMS,
    VICTIMS,
    Kill,
    at_random,
    each_kind,
    every_seam,
)
from crypto_pipeline_tests.crash.tally import Tally, left
from crypto_pipeline_tests.short_lived import short_lived

SITTING_SECONDS = 14_000


def test_the_seams_are_the_commits_of_the_stages_and_what_lies_around_them() -> None:
    tables = [table.key for stage in STAGES for table in stage.outputs]
    assert [seam.name for seam in SEAMS] == [f"{t} {m}" for t in tables for m in MOMENTS]
    assert len({kill.name for kill in every_seam()}) == len(tables) * len(MOMENTS) * len(VICTIMS)


def test_a_second_sitting_does_what_the_first_has_left(tmp_path: Path) -> None:
    claim = replace(proof.begin("sitting", reduced=1, full=1), code="c43eba5")
    kills = [*every_seam(), *at_random(RANDOM, claim.random())]
    first = Tally.open(tmp_path / "kills.json", claim)
    first.kills = [kill.name for kill in (*kills[:7], *kills[-60:-40])]
    first.save()
    second = Tally.open(tmp_path / "kills.json", replace(claim, seed=claim.seed + 1))
    assert second.seed == claim.seed, "the moments are those of the first sitting"
    rest = left(kills, second)
    assert len(rest) == len(kills) - 27
    assert sum(kill.seam is None for kill in rest) == RANDOM - 20
    assert not {kill.name for kill in rest if kill.seam} & set(first.kills)
    assert not Tally.open(tmp_path / "kills.json", replace(claim, code="another")).kills


def test_a_sitting_on_a_tree_that_no_commit_names_is_not_gone_on_with(tmp_path: Path) -> None:
    claim = replace(proof.begin("sitting", reduced=1, full=1), code="c43eba5-changed")
    first = Tally.open(tmp_path / "kills.json", claim)
    first.kills = ["worker raw/records before"]
    first.save()
    assert Tally.open(tmp_path / "kills.json", claim).kills == []


class Lossy:
    """A stack whose kills all hit, and whose lake has lost a record after the second chunk."""

    has_new = True
    store = None

    def __init__(self) -> None:
        self.balances = [Balance(lost={"raw": lost}, doubled={}, records=9) for lost in (0, 1)]

    def send_minute(self) -> None:
        """Nobody reads it."""

    def run(self, kill: Kill) -> str:
        return "killed"

    def balance(self) -> Balance:
        return self.balances.pop(0)

    def tidy(self) -> None:
        """There is nothing."""


def test_kills_of_a_chunk_that_does_not_hold_are_neither_counted_nor_kept(tmp_path: Path) -> None:
    claim = replace(proof.begin("sitting", reduced=1, full=1), code="c43eba5")
    tally = Tally.open(tmp_path / "kills.json", claim)
    kills, kept = every_seam(), list[int]()
    with pytest.raises(AssertionError, match=r"lost=\{'raw': 1\}"):
        kill_all(
            Lossy(),  # type: ignore[arg-type]
            kills,
            tally,
            until=time.monotonic() + 60,
            keep=lambda: kept.append(len(tally.kills)),
        )
    assert kept == [CHUNK]
    saved = Tally.open(tmp_path / "kills.json", claim)
    assert saved.kills == [kill.name for kill in kills[:CHUNK]]
    assert saved.lost == 0


@pytest.mark.spark
@pytest.mark.integration
@pytest.mark.prove
@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("is_in_bucket", [False, True] if proof.is_full() else [False])
def test_after_kills_at_the_seams_every_layer_has_everything_once(is_in_bucket: bool) -> None:
    """Each kind of seam once; under `make prove` all seams with all victims and random moments.

    So in a bucket, whose store drops answers, says 503 and is late meanwhile.
    """
    if jars.missing(jars.read_lock(), ROOT / "build"):
        missing("the jars of the broker and of Spark are not here: `make test` with a network")
    claim = proof.begin(NAMES[is_in_bucket], reduced=0, full=RANDOM)
    tally = Tally.open(claim.tally if proof.is_full() else None, claim)
    claim = replace(claim, seed=tally.seed)
    dice = claim.random()
    chosen: list[Kill] = every_seam() if proof.is_full() else each_kind(dice)
    kills = [*chosen, *at_random(claim.count, claim.random())]
    with ExitStack() as held:
        held.enter_context(short_lived())
        stack = held.enter_context(a_stack(is_in_bucket=is_in_bucket, dice=dice))
        kill_all(stack, kills, tally, until=time.monotonic() + SITTING_SECONDS)
    assert left(kills, tally) == []
    assert (tally.lost, tally.doubled) == (0, 0)
    claim.record(**tally.figures(left=0))
