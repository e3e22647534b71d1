"""What counts as proved: the full size, after its assertions, on a tree that is committed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crypto_pipeline_tests import proof
from crypto_pipeline_tests.proof import Proof, begin, is_committed, is_proved

CODE = "c43eba5-73f5ba2-c62b4f7"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the claim `c` is kept, of a run of `make prove`."""
    monkeypatch.setenv("PROVE", "1")
    monkeypatch.setattr(proof, "ROOT", tmp_path)
    monkeypatch.setattr(proof, "FOLDER", tmp_path / "proofs")
    monkeypatch.setattr(proof, "code_version", lambda also=(): CODE)
    return tmp_path / "proofs" / "c.json"


def claim(*, count: int = 10, code: str = CODE, seed: int = 1) -> Proof:
    return Proof(name="c", count=count, seed=seed, code=code)


def laid_down(file: Path, **content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"code": CODE, "count": 10, "figures": {}} | content))
    return file


def test_what_was_recorded_is_not_proved_again_on_the_same_code(file: Path) -> None:
    assert begin("c", reduced=1, full=10).count == 10
    claim().record(seen=3)
    assert json.loads(file.read_text())["holds"] is True
    with pytest.raises(pytest.skip.Exception, match=r"proved before on this code: proofs/c\.json"):
        begin("c", reduced=1, full=10)
    assert begin("c", reduced=1, full=11), "the full count is another now"


def test_what_a_sitting_keeps_proves_nothing(file: Path) -> None:
    claim().keep({"against_fresh": {"ratio": 9.0}})
    assert "holds" not in json.loads(file.read_text())
    claim().keep({"minutes": 10, "left": 0})
    assert not is_proved(file, CODE, full=10)


@pytest.mark.parametrize(
    ("content", "is_one"),
    [
        ({"holds": True}, True),
        ({"holds": True, "figures": {"left": 0}}, True),
        ({"holds": False}, False),
        ({"holds": True, "count": 9}, False),
        ({"holds": True, "code": "another"}, False),
        ({}, True),
        ({"count": 9}, False),
        ({"figures": {"left": 0}}, False),
        ({"figures": {"left": 3}}, False),
    ],
    ids=str,
)
def test_a_record_is_a_proof_when_its_claim_held_at_the_full_count(
    content: dict[str, Any], file: Path, *, is_one: bool
) -> None:
    assert is_proved(laid_down(file, **content), CODE, full=10) is is_one


@pytest.mark.parametrize("code", [f"{CODE}-changed", "c43eba5--c62b4f7", "--", ""])
def test_a_tree_that_no_commit_names_is_never_proved(code: str, file: Path) -> None:
    assert is_committed(CODE)
    assert not is_committed(code)
    assert not is_proved(laid_down(file, holds=True, code=code), code, full=10)


def test_a_tree_that_no_commit_names_goes_on_from_no_lake(file: Path) -> None:
    assert claim(seed=1).state == claim(seed=2).state
    changed = f"{CODE}-changed"
    assert claim(code=changed, seed=1).state != claim(code=changed, seed=2).state


def test_a_part_that_git_does_not_know_makes_the_tree_like_no_other() -> None:
    assert not is_committed(proof.code_version(("no/such/part",)))
