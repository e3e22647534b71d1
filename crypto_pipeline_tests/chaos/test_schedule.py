"""The schedule is a function of seed and index, has every kind, and pairs a tenth."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from crypto_pipeline.simulator.faults import FAULT_KINDS
from crypto_pipeline_tests.chaos.__main__ import kinds_of
from crypto_pipeline_tests.chaos.checker import Verdict
from crypto_pipeline_tests.chaos.kinds import BY_NAME, KINDS
from crypto_pipeline_tests.chaos.schedule import faults_at, in_order
from crypto_pipeline_tests.chaos.scoreboard import NAME, board, page
from crypto_pipeline_tests.chaos.tally import Tally, file_of, last_seed

SEED = 20_261_126
FULL = 500


def test_the_same_seed_and_index_are_the_same_fault() -> None:
    assert faults_at(SEED, 41) == faults_at(SEED, 41)
    assert [faults_at(SEED, n) for n in range(20)] != [faults_at(SEED + 1, n) for n in range(20)]


def test_every_kind_comes_in_each_round() -> None:
    for turn in range(FULL // len(KINDS)):
        firsts = [faults_at(SEED, turn * len(KINDS) + n)[0].name for n in range(len(KINDS))]
        assert sorted(firsts) == sorted(kind.name for kind in KINDS)


def test_a_tenth_are_pairs_of_two_groups() -> None:
    pairs = [found for n in range(FULL) if len(found := faults_at(SEED, n)) == 2]
    assert 0.06 * FULL < len(pairs) < 0.14 * FULL
    assert all(one.kind.group != other.kind.group for one, other in pairs)


def test_what_somebody_has_to_answer_begins_before_what_stops_him() -> None:
    """A market that is paused takes no order to spoil its answers, and no record goes to a broker
    that is killed."""
    pairs = [found for n in range(FULL) if len(found := faults_at(SEED, n)) == 2]
    groups = [[one.kind.group for one in in_order(pair)] for pair in pairs]
    assert ["venue", "pause"] in groups
    assert not [
        pair for pair in groups if pair[1] in ("venue", "records", "poison", "hostile")
        and pair[0] in ("pause", "kill", "stop", "disk", "wire", "clock")
    ]  # fmt: skip


def test_kinds_of_one_group_have_no_pairs() -> None:
    kinds = [BY_NAME["kill broker"], BY_NAME["kill simulator"]]
    assert {len(faults_at(SEED, number, kinds)) for number in range(200)} == {1}


def test_kinds_are_of_every_class_and_have_a_bound() -> None:
    groups = Counter(kind.group for kind in KINDS)
    assert groups["venue"] == len(FAULT_KINDS)
    assert groups.keys() == {
        *("kill", "pause", "stop", "wire", "disk", "venue", "clock", "records", "poison", "hostile")
    }
    assert all(kind.bound > 0 and kind.lasts[0] <= kind.lasts[1] for kind in KINDS)
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_a_lake_in_a_bucket_has_its_wire_harmed_too_and_hostile_load_kills_nothing() -> None:
    assert {kind.name for kind in kinds_of("bucket")} - {kind.name for kind in KINDS} == {
        f"wire s3 {mode}" for mode in ("delay", "reset", "hold", "cut")
    }
    assert {kind.group for kind in kinds_of("hostile")} == {"poison", "hostile", "records"}
    assert kinds_of("scoreboard") == KINDS


@pytest.fixture
def tally() -> Tally:
    found = Tally(seed=SEED)
    healed = {
        "index": 0, "names": ["kill broker"], "held_seconds": 0.1, "recovery_seconds": 21.5,
        "bound": 240.0, "has_recovered": True, "ended": 0, "why": "",
    }  # fmt: skip
    late = {**healed, "index": 1, "names": ["venue 429", "disk full"], "recovery_seconds": 999.0}
    told = {
        "seconds": 120, "healed": [healed, late], "longest_stale": 30.0, "memory_slope": 5,
        "memory_mebibytes": 3_000, "disk_slope": 7, "disk": "tmpfs", "python": "3.11",
    }  # fmt: skip
    verdict = Verdict(
        lost={"raw": 1},
        doubled={"raw": 0},
        audit="a difference",
        facts={"rows received": 9, "rows received and kept": 7},
    )
    found.add(0, told, verdict, code="c0de")
    return found


def test_a_second_sitting_knows_what_the_first_did(tally: Tally, tmp_path: Path) -> None:
    file = tmp_path / "tally.json"
    tally.save(file)
    assert last_seed(file) == SEED
    assert Tally.open(SEED, file).done() == {0, 1}
    assert Tally.open(SEED + 1, file).done() == set()
    tally.chunks["0"]["code"] = "c0de-changed"
    tally.save(file)
    assert Tally.open(SEED, file).done() == set(), "nobody knows what that code was"


def test_the_scoreboard_says_what_did_not_hold(tally: Tally) -> None:
    found = board(tally, of=FULL)
    assert found["lost"] == {"raw": 1}
    assert [one["index"] for one in found["not_in_time"]] == [1]
    assert found["codes"] == {"c0de": 2}
    assert (found["faults"], found["pairs"], found["audits_clean"]) == (2, 1, 0)
    text = page(found)
    assert "| rows of Binance's ticker received / of these in bronze | 9 / 7 |" in text
    assert "| **lost** | **1** (raw 1) |" in text
    assert f"| kill broker | 1 | 21.5 | 21.5 | {BY_NAME['kill broker'].bound:.0f} |" in text
    assert f"--seed {SEED} --faults {FULL}" in text


def test_what_hit_nothing_is_counted_apart_and_recovers_from_nothing(tally: Tally) -> None:
    healed, late = tally.chunks["0"]["healed"]
    late["hit"] = {"venue 429": False, "disk full": True}
    found = board(tally, of=FULL)
    assert found["hit_nothing"] == {"venue 429": 1}
    assert found["not_looked_at"] == 1, "the first is of before it was looked at"
    assert list(found["recovery"]) == ["kill broker", "disk full"]
    assert "| of them hit nothing | venue 429 1; of 1 nobody looked |" in page(found)
    healed["hit"] = {"kill broker": True}
    assert board(tally, of=FULL)["not_looked_at"] == 0


def test_the_tally_of_before_hits_were_looked_at_is_still_read() -> None:
    file = file_of(NAME)
    seed = last_seed(file)
    assert seed is not None
    found = board(Tally.open(seed, file), of=FULL)
    assert found["faults"] > 0
    assert page(found)
