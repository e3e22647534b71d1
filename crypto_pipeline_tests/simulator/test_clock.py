from __future__ import annotations

from pathlib import Path

import pytest

from crypto_pipeline.errors import SettingsError
from crypto_pipeline.simulator.clock import resume_clock

IDENTITY = {"market": "recorded", "seed": "7"}
NOW = 1_763_892_305_000


def test_resume__real_time_has_no_offset(tmp_path: Path) -> None:
    clock = resume_clock(
        tmp_path / "a" / "clock.json", IDENTITY, speed=1, start_sim=None, real_now=lambda: NOW
    )
    assert clock.now_ms() == NOW


def test_resume__goes_on_with_the_same_mapping(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    first = resume_clock(file, IDENTITY, speed=60, start_sim=1_000_000, real_now=lambda: NOW)
    later = NOW + 3_600_000
    second = resume_clock(file, IDENTITY, speed=60, start_sim=5, real_now=lambda: later)
    assert second.mapping == first.mapping
    assert second.now_ms() == first.now_ms() + 60 * 3_600_000


def test_resume__another_seed_starts_anew(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    resume_clock(file, IDENTITY, speed=60, start_sim=0, real_now=lambda: NOW)
    other = {**IDENTITY, "seed": "8"}
    assert resume_clock(file, other, speed=1, start_sim=None, real_now=lambda: NOW).now_ms() == NOW


def test_resume__another_speed_does_not_turn_time_back(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    fast = resume_clock(file, IDENTITY, speed=60, start_sim=0, real_now=lambda: NOW)
    later = NOW + 1000
    slow = resume_clock(file, IDENTITY, speed=1, start_sim=0, real_now=lambda: later)
    assert slow.now_ms() == fast.mapping.simulated(later)
    assert slow.mapping.speed == 1


def test_resume__given_start_keeps_the_second_of_the_minute(tmp_path: Path) -> None:
    clock = resume_clock(
        tmp_path / "clock.json", IDENTITY, speed=1, start_sim=90_000, real_now=lambda: NOW
    )
    assert clock.now_ms() == 60_000 + NOW % 60_000


def test_resume__broken_file_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    file.write_text("{")
    with pytest.raises(SettingsError, match="Delete the file"):
        resume_clock(file, IDENTITY, speed=1, start_sim=None)
