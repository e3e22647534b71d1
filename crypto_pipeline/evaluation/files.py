"""What an evaluation leaves behind: a printed table, CSV, JSON and plots."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.table import Table as Grid

from crypto_pipeline.predictions import recipe, scoreboard
from crypto_pipeline.predictions.scoreboard import ALL, Score
from crypto_pipeline.predictions.significance import Comparison
from crypto_pipeline.simulator.recording import SUFFIX as SUFFIX

if TYPE_CHECKING:
    from crypto_pipeline.evaluation.command import Evaluation

WIDTH = 118
AGAINST = (
    *(recipe.PERSISTENCE, recipe.EWMA_45M, recipe.EWMA),
    *(recipe.HAR_SYMBOL_LOG, recipe.HAR_SYMBOL, recipe.HAR_POOLED),
)
# What the plots show beside the challenger.
COMPARED = (recipe.EWMA_45M, recipe.HAR_SYMBOL, recipe.HAR_POOLED)


def print_table(console: Console, done: Evaluation) -> None:
    """A table a horizon: mean and median QLIKE, thin pairs apart, bands, and the tests."""
    # Whole even where no terminal says how wide it is.
    console = Console(file=console.file, width=max(console.width, WIDTH), highlight=False)
    for horizon, losses in done.losses.items():
        if len(losses) == 0:
            console.print(f"{horizon} minutes: no origin has a label, a window and a forecast.")
            continue
        console.print(_grid(done, horizon))
        for model, other, test in _tests(done, horizon):
            console.print(
                f"{model} against {other}: DM {test.statistic:.2f}, p {test.p_value:.2g} "
                f"({test.origins} origins, lag {test.lag})"
            )
    for verdict in done.verdicts:
        console.print(
            f"{verdict.horizon_minutes} minutes: {verdict.served} serves. {verdict.reason}"
        )
    if done.unscored:
        console.print(
            f"Without a score ({len(done.unscored)} of {done.symbols}): "
            f"{', '.join(done.unscored[:10])}. They have no training day before the window, no "
            "two different prices in it, or no complete horizon."
        )


def _grid(done: Evaluation, horizon: int) -> Grid:
    by = {(s.group, s.model): s for s in done.scores if s.horizon_minutes == horizon}
    served = next(v.served for v in done.verdicts if v.horizon_minutes == horizon)
    grid = Grid(title=f"{horizon} minutes, {by[ALL, served].origins:,} origins")
    names = ("model", "QLIKE", "median", "liquid", "thin", "log MSE", "pinball bp", "90 % band")
    for name in (*names, "DM p"):
        grid.add_column(name, justify="left" if name == "model" else "right")
    for model in recipe.MODELS:
        one = by[ALL, model]
        grid.add_row(
            f"{model} *" if model == served else model,
            *(_text(one.qlike), _text(one.median_qlike)),
            *(_text(by[g, model].qlike) if (g, model) in by else "" for g in ("liquid", "thin")),
            *(_text(one.mse_log), _text(one.pinball * 1e4, 3), f"{one.coverage:.1%}"),
            "best baseline" if model == one.baseline else f"{_text(one.p_value, 2, 'g')}",
        )
    return grid


def write(done: Evaluation, out: Path) -> None:
    """scores.csv, evaluation.json and a plot a horizon."""
    table = scoreboard.frame(done.scores)
    table.to_csv(out / "scores.csv", index=False)
    content = {
        "scores": [_plain(s) for s in done.scores if not s.group.startswith("symbol:")],
        "verdicts": [asdict(v) for v in done.verdicts],
        "symbols": done.symbols,
        "unscored": list(done.unscored),
        "tests": [
            {"horizon_minutes": horizon, "model": model, "against": other, **_finite(asdict(test))}
            for horizon, losses in done.losses.items()
            if len(losses)
            for model, other, test in _tests(done, horizon)
        ],
    }
    (out / "evaluation.json").write_text(json.dumps(content, indent=1) + "\n")
    for horizon, losses in done.losses.items():
        if len(losses):
            plot(losses, horizon, out / f"qlike-{horizon}m.svg")


def _tests(done: Evaluation, horizon: int) -> Iterator[tuple[str, str, Comparison]]:
    """The challenger, and what serves instead, against each baseline."""
    losses = done.losses[horizon]
    served = [v.served for v in done.verdicts if v.horizon_minutes == horizon]
    for model in dict.fromkeys((recipe.CHALLENGER, *served)):
        for other in AGAINST:
            if other != model:
                yield model, other, scoreboard.compare(losses, model, other, horizon=horizon)


def plot(losses: pd.DataFrame, horizon: int, file: Path) -> None:
    """Mean QLIKE of each day, and the sum of what was gained over each baseline."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import dates
    from matplotlib import pyplot as plt

    day = pd.to_datetime(losses["minute"] // 1440, unit="D", utc=True)
    with plt.rc_context({"svg.hashsalt": "crypto-pipeline", "font.size": 9}):
        figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
        for model in (*COMPARED, recipe.CHALLENGER):
            daily = losses[f"{model}_qlike"].groupby(day).mean()
            left.plot(daily.index, daily.to_numpy(), label=model, linewidth=1)
        left.set_title(f"{horizon} minutes: each day")
        left.set_ylabel("mean QLIKE")
        left.set_ylim(bottom=0)
        for other in COMPARED:
            gain = losses[f"{other}_qlike"] - losses[f"{recipe.CHALLENGER}_qlike"]
            series = gain.groupby(losses["minute"]).mean().sort_index().cumsum()
            moments = pd.to_datetime(series.index, unit="m", utc=True)
            right.plot(moments, series.to_numpy(), label=f"over {other}", linewidth=1)
        right.set_title(f"gained by {recipe.CHALLENGER}")
        right.set_ylabel("QLIKE, summed over origins")
        right.axhline(0, color="grey", linewidth=0.5)
        for axis in (left, right):
            axis.legend(fontsize=8)
            ticks: Any = dates  # has no types
            axis.xaxis.set_major_locator(ticks.AutoDateLocator(minticks=3, maxticks=5))
            axis.xaxis.set_major_formatter(ticks.DateFormatter("%Y-%m-%d"))
        figure.savefig(file, metadata={"Date": None})
        plt.close(figure)


def _plain(score: Score) -> dict[str, Any]:
    return _finite(asdict(score))


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: what is undefined is null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }


def _text(value: float, digits: int = 4, kind: str = "f") -> str:
    return "" if math.isnan(value) else f"{value:.{digits}{kind}}"
