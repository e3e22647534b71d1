"""The comparison says where two lakes differ, and the command what it has laid down."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crypto_pipeline_tests.fabricated.__main__ import main
from crypto_pipeline_tests.fabricated.check import ALLOWED, Ratio, compared, figures
from crypto_pipeline_tests.fabricated.fabricate import fabricate
from crypto_pipeline_tests.fabricated.history import no_topics

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def lay(root: Path, *, minutes: int, symbols: int = 1) -> Path:
    fabricate(root, minutes=minutes, symbols=symbols, ends=no_topics(), now=NOW)
    return root


def test_a_lake_is_near_to_itself_and_far_from_a_longer_one(tmp_path: Path) -> None:
    one, longer = lay(tmp_path / "one", minutes=6), lay(tmp_path / "longer", minutes=9)
    for ratio in compared(one, one, today=NOW.date(), opened=3):
        others = (ratio.files, ratio.log_objects, ratio.log_bytes, ratio.alike)
        assert others == (1.0, 1.0, 1.0, 1.0), ratio
        # The same files are opened twice: only what else runs here is between them.
        assert 0.2 < ratio.load < 5
    far = {ratio.key: ratio for ratio in compared(one, longer, today=NOW.date(), opened=1)}
    assert far["raw/records"].files == 1.5
    assert far["raw/records"].alike == 0.0
    assert far["silver/gaps"].log_bytes == pytest.approx(1, abs=ALLOWED)
    assert not far["gold/volatility"].is_near


def test_what_is_kept_names_the_tables_that_are_off() -> None:
    near = Ratio(key="near", files=1, log_objects=1, log_bytes=1.05, load=0.95, alike=1)
    kept = figures([near, replace(near, key="far", log_bytes=1.2)], symbols=2)
    assert kept["off"] == ["far"]
    assert [one["key"] for one in kept["tables"]] == ["near", "far"]


def test_the_command_lays_down_a_lake_and_tells_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--lake", str(tmp_path / "lake"), "--minutes", "3", "--symbols", "1"]) == 0
    said = capsys.readouterr().out
    assert "laid down in" in said
    assert "key='gold/volatility'" in said
