"""What `replay` and `release` say, and how they end."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from rich.console import Console

from crypto_pipeline.replay import command
from crypto_pipeline.replay.run import Replay
from crypto_pipeline.settings import Settings
from crypto_pipeline.stage_run import StageRun
from crypto_pipeline.stages import BRONZE, CANDLES, STAGES
from crypto_pipeline_tests.builders import SOURCE
from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.documents import examples
from crypto_pipeline_tests.resources.minutes import minute_of

KRAKEN = "simulator:kraken:7"
RUNS: tuple[StageRun, ...] = (minute_of(CANDLES),)


@pytest.fixture
def settings(make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A lake in which one source is held since the batch after 7."""
    pipeline = SimpleNamespace(lake=None, runner=None)
    monkeypatch.setattr(command, "open_by_hand", lambda _: nullcontext(pipeline))
    monkeypatch.setattr(command, "held_now", lambda _: {KRAKEN: 7})
    monkeypatch.setattr(command, "release", lambda *_: RUNS)
    return make_settings()


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        (None, 0, f"{KRAKEN} is held back from gold since batch 8 of silver."),
        (SOURCE, 1, f"{KRAKEN} is held back from gold since batch 8 of silver."),
        (KRAKEN, 0, f"{KRAKEN} is released. candles batch 12345: 20 candle, 1 poll, 20 tick"),
    ],
)
def test_release_lists_what_is_held_or_says_what_it_took(
    settings: Settings, source: str | None, code: int, words: str
) -> None:
    out = io.StringIO()
    console = Console(file=out, width=200)
    assert command.release_command(settings, console, source=source) == code
    assert " ".join(out.getvalue().split()) == words


@pytest.mark.parametrize(
    ("done", "lines"),
    [
        (Replay(outcomes={}, runs=()), ["No rejected row fits.", "Nothing was written."]),
        (
            Replay(outcomes={"replayed": 1_200, "still_rejected": 1}, runs=()),
            ["1 still break a rule", "1,200 were put through before", "Nothing was written."],
        ),
        (
            Replay(outcomes={"tick": 2, "still_rejected": 1}, runs=(minute_of(BRONZE),)),
            [
                "2 are ticks now",
                "1 still break a rule",
                "  bronze batch 12345: 20 candle, 1 poll, 20 tick",
            ],
        ),
    ],
)
def test_replay_says_what_became_of_the_rows(done: Replay, lines: list[str]) -> None:
    assert command.replayed(done) == lines


def test_the_documented_replay_is_in_the_words_of_the_command() -> None:
    page = (ROOT / "docs" / "books.md").read_text()
    shown = examples.after(page, "crypto-pipeline replay").splitlines()
    assert shown[:2] == command.replayed(Replay(outcomes={"tick": 1, "candle": 121}, runs=()))[:2]
    names = [line.split()[0] for line in shown[2:]]
    assert names == [stage.name for stage in STAGES[STAGES.index(BRONZE) :]]
    for stage, line in zip(STAGES[STAGES.index(BRONZE) :], shown[2:], strict=True):
        said = command.replayed(Replay(outcomes={}, runs=(minute_of(stage),)))[-1]
        assert examples.form(line).split(":")[0] == examples.form(said).split(":")[0]
