"""The command line: each command is a few lines here and lives beside what it is about."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import click
from rich.console import Console

from crypto_pipeline.exit_code import exit_with
from crypto_pipeline.settings import Settings, VenueName


@click.group()
@click.option("--traceback", is_flag=True, help="Show where an error came from.")
@click.pass_context
def cli(context: click.Context, *, traceback: bool) -> None:
    """A market-data lakehouse for crypto, from the exchange to the forecast."""
    context.obj = traceback


@cli.command()
@click.pass_obj
def up(traceback: bool) -> None:
    """Start everything and stay until Ctrl-C."""
    from crypto_pipeline.embedded import up as stack

    exit_with(lambda settings, _: stack.up(settings), traceback=traceback)


@cli.command()
@click.pass_obj
def once(traceback: bool) -> None:
    """Run one cycle without the web parts and print what happened."""
    from crypto_pipeline.once import once as one_cycle
    from crypto_pipeline.source.market import resolve

    def run(settings: Settings, console: Console) -> int:
        # A SIGTERM must unwind, or the services that were started would stay.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        decided = resolve(settings)
        console.print(decided.why, markup=False)
        return one_cycle(decided.settings, console)

    exit_with(run, traceback=traceback)


@cli.command()
@click.option("--from", "start", help="Broker time from which on, UTC: 2026-11-20[T10:00].")
@click.option("--to", "end", help="Where it ends, not included, UTC; else now.")
@click.pass_obj
def audit(traceback: bool, start: str | None, end: str | None) -> None:
    """Recount the books of every stage and compare every layer with the one before it."""
    from crypto_pipeline.audit.command import audit_command
    from crypto_pipeline.backfill.command import parse_moment

    exit_with(
        lambda settings, console: audit_command(
            settings,
            console,
            start=parse_moment(start) if start else None,
            end=parse_moment(end) if end else None,
        ),
        traceback=traceback,
    )


@cli.command()
@click.argument("symbol")
@click.argument("minute")
@click.option("--source", help="Else the first of VENUES that has the minute.")
@click.option(
    "--forecast",
    "horizon",
    type=click.Choice(["5", "15", "60"]),
    help="The served forecast of so many minutes that starts there, instead of the candle.",
)
@click.pass_obj
def trace(
    traceback: bool, symbol: str, minute: str, source: str | None, horizon: str | None
) -> None:
    """Follow a candle or a forecast back to the venue's own bytes: BTC-USDT 2026-11-23T10:05Z."""
    from crypto_pipeline.backfill.command import parse_moment
    from crypto_pipeline.trace.command import trace_command

    exit_with(
        lambda settings, console: trace_command(
            settings,
            console,
            symbol=symbol.upper(),
            minute_at=parse_moment(minute),
            source=source,
            horizon=int(horizon) if horizon else None,
        ),
        traceback=traceback,
    )


@cli.command()
@click.argument("what", type=click.Choice(["rejected"]))
@click.option("--reason", help="Only rows with this reason code.")
@click.option("--source", help="Only rows of this source.")
@click.pass_obj
def replay(traceback: bool, what: str, reason: str | None, source: str | None) -> None:
    """Put rejected rows through again after a fix; a second time adds nothing."""
    from crypto_pipeline.replay.command import replay_command

    del what
    exit_with(lambda s, c: replay_command(s, c, reason=reason, source=source), traceback=traceback)


@cli.command()
@click.argument("source", required=False)
@click.pass_obj
def release(traceback: bool, source: str | None) -> None:
    """Let a source that was held back into gold again; without one, list those that are held."""
    from crypto_pipeline.replay.command import release_command

    exit_with(lambda found, out: release_command(found, out, source=source), traceback=traceback)


@cli.command()
@click.argument("layer", type=click.Choice(["bronze", "silver", "gold"]))
@click.pass_obj
def rebuild(traceback: bool, layer: str) -> None:
    """Make a layer and all below it anew from raw, compare, and put it in place."""
    from crypto_pipeline.rebuild.command import rebuild_command

    exit_with(lambda found, out: rebuild_command(found, out, layer=layer), traceback=traceback)


@cli.command()
@click.option("--symbols", help="Comma-separated, for example BTC-USDT,ETH-USDT; else SYMBOLS.")
@click.option("--from", "start", required=True, help="First minute, UTC: 2026-11-20[T10:00].")
@click.option("--to", "end", help="Where it ends, not included, UTC; else now.")
@click.option("--venue", type=click.Choice(get_args(VenueName)), help="Else the first of VENUES.")
@click.pass_obj
def backfill(
    traceback: bool, symbols: str | None, start: str, end: str | None, venue: str | None
) -> None:
    """Fetch past candles into the pipeline that runs; stopped, the same command goes on."""
    from crypto_pipeline.backfill.command import backfill as fetch
    from crypto_pipeline.backfill.command import parse_moment
    from crypto_pipeline.setting_values import watch_list
    from crypto_pipeline.source.market import resolve

    def run(settings: Settings, console: Console) -> int:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        decided = resolve(settings).settings
        return fetch(
            decided,
            console,
            symbols=watch_list(symbols) if symbols else decided.symbols,
            start=parse_moment(start),
            end=parse_moment(end) if end else datetime.max.replace(tzinfo=UTC),
            venue=venue,
        )

    exit_with(run, traceback=traceback)


@cli.command()
@click.pass_obj
def status(traceback: bool) -> None:
    """Show what runs, how far each stage is, and how much disk each part takes."""
    from crypto_pipeline.status import print_status

    exit_with(print_status, traceback=traceback)


@cli.command()
@click.option(
    "--reader", is_flag=True, help="Try in the bucket only what a process that reads needs."
)
@click.pass_obj
def doctor(traceback: bool, reader: bool) -> None:
    """Look at everything outside: keys, bucket, Kafka, Spark, ports; say what to do."""
    from crypto_pipeline.doctor.command import doctor as examine

    exit_with(lambda found, out: examine(found, out, writes=not reader), traceback=traceback)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.pass_obj
def backup(traceback: bool, folder: Path) -> None:
    """Copy the lake's tables into FOLDER, consistent also while the pipeline runs."""
    from crypto_pipeline.backup.command import backup_command

    exit_with(lambda found, out: backup_command(found, out, folder), traceback=traceback)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.pass_obj
def restore(traceback: bool, folder: Path) -> None:
    """Check a backup and put its tables where LAKE_ROOT says; the pipeline must not run."""
    from crypto_pipeline.backup.command import restore_command

    exit_with(lambda found, out: restore_command(found, out, folder), traceback=traceback)


@cli.command()
@click.pass_obj
def migrate(traceback: bool) -> None:
    """Bring state folder and tables to this version's format; a second time does nothing."""
    from crypto_pipeline.migrate.command import migrate as bring_along

    exit_with(bring_along, traceback=traceback)


@cli.command()
@click.option("--write", is_flag=True, help="Write the page instead of printing it.")
@click.option("--file", default="docs/data-dictionary.md", type=click.Path(path_type=Path))
def dictionary(write: bool, file: Path) -> None:
    """Print the data dictionary: every table and column, as the schemas say it."""
    from crypto_pipeline.data_dictionary import page

    if write:
        file.write_text(page())
    else:
        click.echo(page(), nl=False)


@cli.command()
@click.option(
    "--candles",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of BASE_QUOTE-1m.csv.gz files.",
)
@click.option("--days", default=20, show_default=True, type=click.IntRange(1, 400))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.pass_obj
def evaluate(traceback: bool, candles: Path, days: int, out: Path) -> None:
    """Score every model on the last days of a folder of candles, refitted daily."""
    from crypto_pipeline.evaluation.command import evaluate as walk_forward

    def run(settings: Settings, console: Console) -> int:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return walk_forward(settings, console, candles=candles, days=days, out=out)

    exit_with(run, traceback=traceback)


@cli.command("adopt-topic")
@click.pass_obj
def adopt_topic(traceback: bool) -> None:
    """Go on with a topic that was created anew, under a new epoch."""
    from crypto_pipeline.adopt_topic import adopt_topic as adopt
    from crypto_pipeline.source.market import resolve

    def run(settings: Settings, console: Console) -> int:
        return adopt(resolve(settings).settings, console)

    exit_with(run, traceback=traceback)


@cli.command()
@click.pass_obj
def train(traceback: bool) -> None:
    """Fit the forecasts' model now and register it as the challenger."""
    from crypto_pipeline import champion

    exit_with(champion.train, traceback=traceback)


@cli.command()
@click.option("--version", type=click.IntRange(min=1), help="Else the challenger, the newest.")
@click.pass_obj
def promote(traceback: bool, version: int | None) -> None:
    """Let a registered version of the model be the champion."""
    from crypto_pipeline import champion

    exit_with(lambda s, c: champion.promote(s, c, version=version), traceback=traceback)


@cli.command()
@click.pass_obj
def rollback(traceback: bool) -> None:
    """Let the champion before this one be it again, until the next promote."""
    from crypto_pipeline import champion

    exit_with(champion.rollback, traceback=traceback)


def main() -> None:
    cli()


if __name__ == "__main__":
    main()
