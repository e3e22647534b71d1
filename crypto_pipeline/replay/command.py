"""`crypto-pipeline replay rejected` and `release`, as lines."""

from __future__ import annotations

from rich.console import Console

from crypto_pipeline.holding.release import held_now, release
from crypto_pipeline.pipeline import open_by_hand
from crypto_pipeline.replay.run import Replay, replay
from crypto_pipeline.settings import Settings
from crypto_pipeline.stage_run import StageRun

NOT_HELD = 1


def replay_command(
    settings: Settings, console: Console, *, reason: str | None, source: str | None
) -> int:
    with open_by_hand(settings) as pipeline:
        done = replay(pipeline.runner, reason=reason, source=source)
    for line in replayed(done):
        console.print(line, markup=False, highlight=False)
    return 0


def release_command(settings: Settings, console: Console, *, source: str | None) -> int:
    """Without a source the held ones are listed. Exit code 1: the named one is not held."""
    with open_by_hand(settings) as pipeline:
        held = held_now(pipeline.lake)
        if source is None or source not in held:
            for name, batch in sorted(held.items()):
                console.print(f"{name} is held back from gold since batch {batch + 1} of silver.")
            if not held:
                console.print("No source is held back from gold.")
            return 0 if source is None else NOT_HELD
        runs = release(pipeline.runner, source)
    console.print(f"{source} is released.", markup=False, highlight=False)
    for run in runs:
        console.print(_run(run), markup=False, highlight=False)
    return 0


def replayed(done: Replay) -> list[str]:
    """What became of the rows, and which batches took them."""
    said = {
        "tick": "are ticks now",
        "candle": "are candles now",
        "poll": "are polls now",
        "still_rejected": "still break a rule",
        "replayed": "were put through before",
    }
    lines = [
        f"{done.outcomes[name]:,} {words}"
        for name, words in said.items()
        if done.outcomes.get(name)
    ]
    lines = lines or ["No rejected row fits."]
    if not done.passed:
        lines.append("Nothing was written.")
    return [*lines, *(_run(run) for run in done.runs)]


def _run(run: StageRun) -> str:
    outcomes = ", ".join(f"{n:,} {name}" for name, n in sorted(run.outcomes.items()))
    return f"  {run.stage} batch {run.batch}: {outcomes or 'no rows'}"
