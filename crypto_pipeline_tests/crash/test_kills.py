"""kill -9 of the run worker, the Spark server and the broker: nothing is lost, nothing doubled."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import STAGES
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.crash.killed_stack import killed_stack
from crypto_pipeline_tests.crash.kills import (
    Kill,
    Tally,
    at_random,
    each_kind,
    every_seam,
    kill_all,
    left,
)
from crypto_pipeline_tests.crash.seams import MOMENTS, SEAMS, VICTIMS

RANDOM = 60
STATE = ROOT / "build" / "kills.json"


def test_the_seams_are_the_commits_of_the_stages_and_what_lies_around_them() -> None:
    tables = [table.key for stage in STAGES for table in stage.outputs]
    assert [seam.name for seam in SEAMS] == [f"{t} {m}" for t in tables for m in MOMENTS]
    assert len({kill.name for kill in every_seam()}) == len(tables) * len(MOMENTS) * len(VICTIMS)


def test_a_second_sitting_does_what_the_first_has_left(tmp_path: Path) -> None:
    kills = [*every_seam(), *at_random(RANDOM, proof.begin("sitting", reduced=1, full=1).random())]
    first = Tally.open(tmp_path / "kills.json")
    first.kills = [kill.name for kill in (*kills[:7], *kills[-60:-40])]
    first.save()
    second = Tally.open(tmp_path / "kills.json")
    rest = left(kills, second)
    assert len(rest) == len(kills) - 27
    assert sum(kill.seam is None for kill in rest) == RANDOM - 20
    assert not {kill.name for kill in rest if kill.seam} & set(first.kills)


@pytest.mark.spark
@pytest.mark.integration
@pytest.mark.prove
@pytest.mark.timeout(14_400)
def test_after_kills_at_the_seams_every_layer_has_everything_once(
    make_settings: Callable[..., Settings],
) -> None:
    """Each kind of seam once; under `make prove` all seams with all victims and random moments."""
    claim = proof.begin("kills", reduced=0, full=RANDOM)
    dice = claim.random()
    chosen: list[Kill] = every_seam() if proof.is_full() else each_kind(dice)
    kills = [*chosen, *at_random(claim.count, dice)]
    tally = Tally.open(STATE if proof.is_full() else None)
    with killed_stack(make_settings(HISTORY_HOURS="0")) as stack:
        assert kill_all(stack, kills, tally, until=time.monotonic() + 14_000)
    assert len(tally.kills) == len(kills)
    assert (tally.lost, tally.doubled) == (0, 0)
    claim.record(
        kills=tally.counts(),
        seams=len(chosen),
        random=claim.count,
        lost=tally.lost,
        doubled=tally.doubled,
        records=tally.records,
        seconds=round(tally.seconds),
    )
