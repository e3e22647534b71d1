"""`crypto-pipeline backfill`: a progress bar, and what is left when it could not be had."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from crypto_pipeline.backfill import run
from crypto_pipeline.backfill.job import total_minutes
from crypto_pipeline.backfill.stretch import Stretch, Taken
from crypto_pipeline.errors import SettingsError
from crypto_pipeline.settings import Settings
from crypto_pipeline.source.market import check_symbols
from crypto_pipeline.source.venues import venue_for
from crypto_pipeline.state_format import refuse_other_state

LEFT_SHOWN = 5
INCOMPLETE = 1


def backfill(
    settings: Settings,
    console: Console,
    *,
    symbols: Sequence[str],
    start: datetime,
    end: datetime,
    venue: str | None,
) -> int:
    """Exit code 0 when all was answered, 1 when the same command is to be run again."""
    refuse_other_state(settings)
    job = run.plan(settings, symbols=symbols, start=start, end=end, venue=venue)
    check_symbols(settings, venue=venue_for(settings, venue), symbols=job.symbols)
    left, whole = total_minutes(job.left()), total_minutes(job.parts())
    console.print(
        f"{len(job.symbols)} symbols of {job.source} from {job.start:%Y-%m-%d %H:%M} to "
        f"{job.end:%Y-%m-%d %H:%M} UTC: {whole:,} minutes.",
        highlight=False,
    )
    if left < whole:
        console.print(f"Going on where it stopped: {left:,} are left.", highlight=False)
    with _progress(console) as progress:
        bar = progress.add_task("", total=whole, completed=whole - left)

        def on_part(part: Stretch, taken: Taken) -> None:
            del taken
            progress.update(bar, advance=part.minutes, description=f"{part.start:%Y-%m-%d}")

        report = run.backfill(settings, job, on_part=on_part)
    console.print(_summary(report), markup=False, highlight=False)
    return INCOMPLETE if report.left else 0


def parse_moment(text: str) -> datetime:
    """A day or a minute, UTC unless it names its zone.

    >>> parse_moment("2026-11-23").isoformat()
    '2026-11-23T00:00:00+00:00'
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(
            f"{text!r} is no time. Write a day, 2026-11-23, or a minute, 2026-11-23T10:05."
        ) from error
    zoned = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if zoned.second or zoned.microsecond:
        raise SettingsError(f"{text!r} is not a whole minute. Leave the seconds out.")
    return zoned


def _summary(report: run.Report) -> str:
    lines = [
        f"{report.candles:,} candles of {report.minutes:,} minutes published, "
        f"{report.rejected:,} rows rejected. Minutes without a trade have no candle at some venues."
    ]
    if report.left:
        shown = report.left[:LEFT_SHOWN]
        lines += [f"No answer for {len(report.left)}:", *(f"  {one}" for one in shown)]
        lines += ["  …"] if len(report.left) > LEFT_SHOWN else []
        lines += ["Run the same command again: it fetches only what is left."]
    return "\n".join(lines)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("minutes"),
        TimeRemainingColumn(),
        console=console,
    )
