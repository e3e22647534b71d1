"""What the benchmark of growth makes of its cycles; measuring them is the command's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crypto_pipeline.setting_values import watch_list as parsed
from crypto_pipeline.status import folder_bytes
from crypto_pipeline_tests.benchmarks import growth
from crypto_pipeline_tests.benchmarks.curves import draw_curves
from crypto_pipeline_tests.benchmarks.growing import Cycle, Growth, watch_list


def cycles(seconds: float, written: float) -> list[Cycle]:
    return [
        Cycle(seconds=(1.0, seconds), bytes=(100.0, written)),
        Cycle(seconds=(2.0, seconds), bytes=(100.0, written)),
    ]


FOUND = Growth(
    symbols={20: cycles(10.0, 1_000.0), 2_000: cycles(100.0, 100_000.0)},
    minutes={1: cycles(10.0, 1_000.0), 20: cycles(10.0, 20_000.0)},
)
HISTORY = {
    "figures": [
        {"name": "a cycle over 1,440 minutes, over a new lake's", "pairs": [[10.0, 11.0]]},
        {"name": "a cycle over 43,200 minutes, over a new lake's", "pairs": [[10.0, 12.0]]},
    ]
}


def test_each_size_has_its_seconds_and_bytes_against_bare_appends() -> None:
    told = {(one.name, one.unit): (one.bare, one.ours) for one in growth.figures(FOUND)}
    assert told["2,000 symbols", "s"] == (1.5, 100.0)
    assert told["20 minutes in a cycle", "bytes"] == (100.0, 20_000.0)
    assert len(told) == 8


def test_growth_in_step_is_told_from_no_growth() -> None:
    exponents = growth.more(FOUND, growth.panels(FOUND, {}))["exponents"]
    assert exponents["seconds by symbols"] == pytest.approx(0.5)
    assert exponents["bytes by symbols"] == pytest.approx(1.0)
    assert exponents["seconds by minutes in a cycle"] == pytest.approx(0.0)
    assert exponents["seconds by history"] is None


def test_a_kept_history_is_drawn_and_a_missing_one_is_said(tmp_path: Path) -> None:
    file = tmp_path / "history.json"
    assert growth.kept_history(file) == {}
    draw_curves(tmp_path / "without.svg", growth.panels(FOUND, {}))
    file.write_text(json.dumps(HISTORY))
    history = growth.kept_history(file)
    assert history == {1_440: [(10.0, 11.0)], 43_200: [(10.0, 12.0)]}
    draw_curves(tmp_path / "with.svg", growth.panels(FOUND, history))
    assert "not measured yet" in (tmp_path / "without.svg").read_text()
    assert "not measured yet" not in (tmp_path / "with.svg").read_text()


@pytest.mark.parametrize("size", [20, 360])
def test_a_watch_list_has_its_size(size: int) -> None:
    assert len(parsed(watch_list(size))) == size


def test_the_largest_size_is_the_whole_venue() -> None:
    assert parsed(watch_list(3_600)) == ()


def test_bytes_are_those_of_all_files_below(tmp_path: Path) -> None:
    assert folder_bytes(tmp_path / "nothing") == 0
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one").write_bytes(b"12345")
    (tmp_path / "a" / "b" / "two").write_bytes(b"123")
    assert folder_bytes(tmp_path) == 8
