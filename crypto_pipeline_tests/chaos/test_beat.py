"""A poll is asked for once in each of the market's minutes, and not beside a cycle that goes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crypto_pipeline import settings as settings_module
from crypto_pipeline_tests.chaos import beat as beat_module
from crypto_pipeline_tests.chaos.beat import PATIENCE_SECONDS, SECONDS, Beat

AT = datetime(2026, 11, 28, 10, 0, tzinfo=UTC)
SPEED = 5


@dataclass
class World:
    """Our clock, the market's five times as fast, and a Dagster that a cycle may go on in."""

    seconds: float = 1_008.0
    step: timedelta = timedelta(0)
    cycles: list[Any] = field(default_factory=list)

    def market_now(self) -> datetime:
        return AT + timedelta(seconds=SPEED * self.seconds) + self.step


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(beat_module.time, "monotonic", lambda: made.seconds)
    return made


@pytest.fixture
def asked(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list]:
    """The moments at which a poll was asked for in so many seconds."""
    given = {"STATE_DIR": str(tmp_path), "MARKET": "simulated"}
    settings = settings_module.load(given, env_file=tmp_path / "no.env")
    beat = Beat(settings, market_now=world.market_now)
    monkeypatch.setattr(beat, "unfinished", lambda _: world.cycles)

    def of(seconds: float, *, answers: bool = True) -> list[float]:
        found: list[float] = []

        def ask_now() -> bool:
            found.append(world.seconds)
            return answers

        monkeypatch.setattr(beat, "ask_now", ask_now)
        until = world.seconds + seconds
        while world.seconds < until:
            beat()
            world.seconds += 0.2
        return found

    return of


def test_each_minute_of_the_market_is_asked_for_once_as_it_begins(
    asked: Callable[..., list[float]],
) -> None:
    found = asked(60)
    assert len(found) == 5
    gaps = [later - sooner for sooner, later in itertools.pairwise(found)]
    assert all(abs(gap - 60 / SPEED) < 1.5 for gap in gaps)


def test_a_minute_that_the_market_steps_back_to_is_asked_for(
    world: World, asked: Callable[..., list[float]]
) -> None:
    asked(SECONDS + 1)
    world.step -= timedelta(minutes=7)
    assert len(asked(2)) == 1


def test_a_cycle_is_waited_for_but_not_for_ever(
    world: World, asked: Callable[..., list[float]]
) -> None:
    (first, *_) = asked(1)
    world.cycles = [{"jobName": "cycle"}]
    found = asked(PATIENCE_SECONDS + 2)
    assert len(found) == 1
    assert found[0] - first >= PATIENCE_SECONDS


def test_a_question_that_nobody_took_is_asked_again(asked: Callable[..., list[float]]) -> None:
    assert len(asked(4, answers=False)) > 1
