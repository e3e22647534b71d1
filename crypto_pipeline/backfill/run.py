"""Backfill and repair with real gateways: settings in, a report out. Knows no Dagster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import get_args

from crypto_pipeline.backfill.job import Job, in_groups
from crypto_pipeline.backfill.ledger import Missing, due_days, due_stretches, open_minutes
from crypto_pipeline.backfill.stretch import Stretch, StretchFetch, Taken
from crypto_pipeline.contract.poll import Purpose
from crypto_pipeline.errors import MarketError, SettingsError
from crypto_pipeline.lake.rows import read_days
from crypto_pipeline.settings import Settings, VenueName
from crypto_pipeline.silver.schema import GAPS
from crypto_pipeline.source.clock import Clock, SystemClock, minute_of
from crypto_pipeline.source.market import market_clock
from crypto_pipeline.source.venue import oldest_candle
from crypto_pipeline.source.venues import feeds_for, market_kind, venue_for
from crypto_pipeline.stream.publish import Publisher
from crypto_pipeline.stream.topics import open_ready_producer

# Older gaps are left to a repair of their day by hand.
REPAIR_DAYS = 7

OnPart = Callable[[Stretch, Taken], None]


@dataclass(kw_only=True)
class Report:
    """What was asked for and came; `left` names what got no answer, `beyond` what no venue has."""

    minutes: int = 0
    candles: int = 0
    rejected: int = 0
    parts: int = 0
    left: list[str] = field(default_factory=list)
    beyond: int = 0

    def add(self, part: Stretch, taken: Taken) -> None:
        self.parts += 1
        self.minutes += part.minutes
        self.candles += taken.candles
        self.rejected += taken.rejected
        self.left += [
            f"{symbol} from {part.start:%Y-%m-%d %H:%M} to {part.end:%Y-%m-%d %H:%M}"
            + (f" ({taken.reason})" if taken.reason else "")
            for symbol in taken.missed
        ]


def plan(
    settings: Settings,
    *,
    symbols: Sequence[str],
    start: datetime,
    end: datetime,
    venue: str | None = None,
    clock: Clock | None = None,
) -> Job:
    """The job of fetching [start, end) up to the minute that still runs.

    Raises SettingsError for an empty range, no symbols, or minutes that the venue has no more.
    """
    name = venue or settings.venues[0]
    now = minute_of((clock or market_clock(settings)).now())
    if not symbols:
        raise SettingsError("A backfill needs symbols: name them, since SYMBOLS is `all`.")
    last = min(end, now)
    if start >= last:
        raise SettingsError(
            f"There is no closed minute from {start:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC. "
            "The first must be before the second, and before now."
        )
    oldest = oldest_candle(venue_for(settings, name), now=now)
    if oldest is not None and start < oldest:
        raise SettingsError(
            f"{name} serves no candle before {oldest:%Y-%m-%d %H:%M} UTC. Begin there, or name "
            "another venue."
        )
    return Job(
        folder=settings.home / "backfill",
        source=settings.source_of(name),
        symbols=tuple(symbols),
        start=start,
        end=last,
    )


def backfill(settings: Settings, job: Job, *, on_part: OnPart | None = None) -> Report:
    """Fetch and publish what is left of the job; it is finished when nothing is left.

    Raises MarketError or StreamError where it cannot go on; the next run takes it up there.
    """
    report = Report()
    with open_fetch(settings, source=job.source, purpose="backfill") as fetch:
        for part in job.left():
            taken = fetch.take(part)
            report.add(part, taken)
            if not taken.missed:
                job.note_done(part)
            if on_part is not None:
                on_part(part, taken)
    if not report.left:
        job.finish()
    return report


def day_job(settings: Settings, day: date) -> Job:
    """A day of the watch-list at the first venue."""
    start = datetime.combine(day, time(), UTC)
    return plan(settings, symbols=settings.symbols, start=start, end=start + timedelta(days=1))


def days_to_repair(settings: Settings, *, now: datetime | None = None) -> list[date]:
    """The days, of the last week of the ledger, on which something is to be asked for."""
    today = now or SystemClock().now()
    missing = _missing(settings, since=_newest_day(settings, today) - timedelta(days=REPAIR_DAYS))
    sources = [settings.source_of(name) for name in settings.venues]
    return due_days(missing, sources=sources, now=today)


def repair_day(settings: Settings, day: date, *, now: datetime | None = None) -> Report:
    """Ask each venue for what the ledger says it owes of a day; what comes closes the gap.

    A venue that gives nothing is `left`, and the others are asked. Nothing is kept between two
    runs but the ledger itself: a minute whose candle came is asked for no more once silver has
    taken it, so a run that was stopped goes on where it was.
    """
    report, moment = Report(), now or SystemClock().now()
    missing = [one for one in _missing(settings, since=day) if one.minute_at.date() == day]
    for name in settings.venues:
        source = settings.source_of(name)
        stretches = due_stretches(missing, source=source, now=moment)
        if not stretches:
            continue
        try:
            with open_fetch(settings, source=source, purpose="repair") as fetch:
                _repair(fetch, stretches, report)
        except MarketError as error:
            report.left.append(f"{name}: {error}")
    return report


def _repair(fetch: StretchFetch, stretches: Sequence[Stretch], report: Report) -> None:
    oldest = oldest_candle(fetch.feed.venue, now=fetch.clock.now())
    for whole in stretches:
        start = max(whole.start, oldest or whole.start)
        part = Stretch(symbols=whole.symbols, start=min(start, whole.end), end=whole.end)
        report.beyond += whole.minutes - part.minutes
        for group in in_groups(part) if part.minutes else ():
            report.add(group, fetch.take(group))


@contextmanager
def open_fetch(settings: Settings, *, source: str, purpose: Purpose) -> Iterator[StretchFetch]:
    """A venue in the background, and a publisher of its own."""
    names = {settings.source_of(name): name for name in get_args(VenueName)}
    venue = venue_for(settings, names[source], is_background=True)
    (feed,) = feeds_for(settings, [venue])
    with Publisher(settings, connect=open_ready_producer) as publisher:
        yield StretchFetch(
            feed=feed,
            market=market_kind(settings),
            clock=market_clock(settings),
            publisher=publisher,
            purpose=purpose,
        )


def _missing(settings: Settings, *, since: date) -> list[Missing]:
    return open_minutes(read_days(f"{settings.lake_root.rstrip('/')}/{GAPS.key}", since=since))


def _newest_day(settings: Settings, now: datetime) -> date:
    """Today on the market's clock, which at speed k or in a recording is another day than ours."""
    return now.date() if settings.market == "live" else market_clock(settings).now().date()
