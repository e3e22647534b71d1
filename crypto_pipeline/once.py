"""One cycle from the venue to the forecast, printed as a table."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table as Grid

from crypto_pipeline.gold.publication import decimal_text
from crypto_pipeline.pipeline import Pipeline, open_pipeline
from crypto_pipeline.settings import Settings
from crypto_pipeline.stage_run import StageRun
from crypto_pipeline.stages import CANDLES, PREDICTIONS, STAGES
from crypto_pipeline.stream.ingest import IngestReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """What one cycle did; `forecasts` and `prices` are rows of the newest minute."""

    runs: tuple[StageRun, ...]
    pipeline: Pipeline
    seconds: float

    @property
    def balances(self) -> bool:
        return all(run.balances for run in self.runs)


def run_cycle(pipeline: Pipeline) -> Cycle:
    """All stages in the order of the data, with the training and the publications between."""
    started = time.perf_counter()
    runs = []
    for stage in STAGES:
        if stage is PREDICTIONS:
            pipeline.train()
        runs.append(pipeline.run(stage))
    pipeline.score()
    pipeline.publish_summary()
    pipeline.publish_forecasts()
    pipeline.publish_status()
    return Cycle(runs=tuple(runs), pipeline=pipeline, seconds=time.perf_counter() - started)


def once(settings: Settings, console: Console) -> int:
    """Poll, publish, run every stage, print; the services are started unless they run already."""
    from crypto_pipeline.embedded.running import services
    from crypto_pipeline.migrate.found import refuse_other_formats
    from crypto_pipeline.resources.market import ingest
    from crypto_pipeline.stream.topics import ensure

    refuse_other_formats(settings)
    with ExitStack() as stack:
        stack.enter_context(services(settings, ["broker", "spark", "simulator"], console=console))
        ensure(settings)
        polled = ingest(settings)
        # Closed before the services stop: a client left open waits for a server that is gone.
        pipeline = stack.enter_context(open_pipeline(settings))
        cycle = run_cycle(pipeline)
        console.print(stage_grid(polled, cycle))
        console.print(price_grid(cycle.pipeline))
        console.print(f"One cycle in {cycle.seconds:.1f} s, books balanced: {cycle.balances}")
    return 0 if cycle.balances else 1


def stage_grid(polled: IngestReport, cycle: Cycle) -> Grid:
    grid = Grid(title="One cycle")
    for name in ("stage", "rows in", "rows out", "rejected", "set aside", "seconds"):
        grid.add_column(name, justify="left" if name == "stage" else "right")
    served = polled.ticks + polled.candles + polled.history_candles
    grid.add_row("source", f"{served:,}", f"{served:,}", f"{polled.rejected:,}", "", "")
    for run in cycle.runs:
        aside = sum(run.outcomes.get(name, 0) for name in ("duplicate", "conflict", "too_late"))
        out = sum(run.rows_out.values()) - run.rejected - aside
        grid.add_row(
            run.stage,
            f"{run.rows_in:,}",
            f"{out:,}",
            f"{run.rejected:,}",
            f"{aside:,}",
            f"{run.seconds:.1f}",
        )
    return grid


def price_grid(pipeline: Pipeline) -> Grid:
    """Last close and the served forecast of 60 minutes, a symbol a row."""
    spark = pipeline.lake.spark
    path = pipeline.lake.path
    query = f"""
        SELECT c.symbol, max_by(c.close, c.minute_at) AS close, max(c.minute_at) AS at,
               max_by(f.volatility, f.origin_at) AS volatility,
               max_by(f.model, f.origin_at) AS model
        FROM delta.`{path(CANDLES.primary)}` c
        LEFT JOIN delta.`{path(PREDICTIONS.primary)}` f
          ON f.source = c.source AND f.symbol = c.symbol AND f.is_served
          AND f.horizon_minutes = 60 AND f.origin_at = c.minute_at
        GROUP BY c.symbol ORDER BY c.symbol
    """
    grid = Grid(title="Last prices and the forecast of the next hour (annualised volatility)")
    for name in ("symbol", "close", "minute", "forecast", "model"):
        grid.add_column(name, justify="left" if name in ("symbol", "model") else "right")
    for row in spark.sql(query).collect():
        forecast = "" if row["volatility"] is None else f"{row['volatility']:.1%}"
        close = decimal_text(row["close"]) or ""
        grid.add_row(row["symbol"], close, f"{row['at']:%H:%M}", forecast, row["model"] or "none")
    return grid
