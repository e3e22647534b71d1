"""Counts that outlive the process that made them.

Each minute's poll is a process of its own, so what it counted is added to a file when it is
done, and a process that stays serves the sums. A poll that is killed before `save` is missing
from the sums; the spool and the topics have it all the same.
"""

from __future__ import annotations

import fcntl
import json
import logging
import threading
from bisect import bisect_left
from dataclasses import asdict, dataclass, field
from pathlib import Path

from crypto_pipeline.observed.metric import Metric
from crypto_pipeline.settings import Settings

log = logging.getLogger(__name__)

MISSING_KEPT = 1_440

# The numbers of each series by metric: one of a counter; buckets, +Inf and sum of a histogram.
Series = dict[str, list[float]]


@dataclass(slots=True)
class Book:
    """What was counted. Moments are seconds since 1970; series are label values with commas.

    `full` is the sentence of the spool's last refusal until it takes a poll again; `missing`
    are the newest minutes that were refused, ISO-8601.
    """

    counts: dict[str, Series] = field(default_factory=dict)
    moments: dict[str, float] = field(default_factory=dict)
    full: str | None = None
    missing: list[str] = field(default_factory=list)


class Tally:
    """Counts in memory, added to the file by `save`; without a file they stay in memory."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._is_spool_noted = False
        self.book = Book()

    @classmethod
    def open(cls, settings: Settings) -> Tally:
        return cls(ledger_file(settings))

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        self._add(metric, labels, [float(by)])

    def observe(self, metric: Metric, *labels: str, seconds: float) -> None:
        numbers = [0.0] * (len(metric.buckets) + 2)
        numbers[bisect_left(metric.buckets, seconds)] = 1.0
        numbers[-1] = seconds
        self._add(metric, labels, numbers)

    def mark(self, metric: Metric, moment: float) -> None:
        """The moment that an age is counted from, seconds since 1970."""
        with self._lock:
            self.book.moments[metric.name] = moment

    def note_stored(self) -> None:
        with self._lock:
            self.book.full, self._is_spool_noted = None, True

    def note_refused(self, sentence: str, *, minute: str | None) -> None:
        """The spool refused; `minute` is what is missing for good, if anything is."""
        with self._lock:
            self.book.full, self._is_spool_noted = sentence, True
            self.book.missing += [minute] if minute else []

    def save(self) -> None:
        """Add everything to the file and begin anew; a disk that refuses costs only the counts."""
        if self._file is None:
            return
        with self._lock:
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                with self._file.with_suffix(".lock").open("wb") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    _write(self._file, self._added_to(read_book(self._file)))
            except OSError as error:
                log.warning("What this run counted is not in %s yet: %s", self._file, error)
                return
            self.book, self._is_spool_noted = Book(), False

    def _add(self, metric: Metric, labels: tuple[str, ...], numbers: list[float]) -> None:
        key = ",".join(metric.bounded(labels))
        with self._lock:
            _sum(self.book.counts.setdefault(metric.name, {}), key, numbers)

    def _added_to(self, book: Book) -> Book:
        for name, series in self.book.counts.items():
            for key, numbers in series.items():
                _sum(book.counts.setdefault(name, {}), key, numbers)
        return Book(
            counts=book.counts,
            moments={**book.moments, **self.book.moments},
            full=self.book.full if self._is_spool_noted else book.full,
            missing=[*book.missing, *self.book.missing][-MISSING_KEPT:],
        )


def ledger_file(settings: Settings) -> Path:
    return settings.home / "observed" / "ingestion.json"


def read_book(file: Path) -> Book:
    """What the file holds; counts begin anew where it holds nothing of ours."""
    try:
        return Book(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return Book()


def _write(file: Path, book: Book) -> None:
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(book)))
    temporary.replace(file)


def _sum(series: Series, key: str, numbers: list[float]) -> None:
    """Another number of buckets is another version of the metric: it begins anew."""
    known = series.get(key, [])
    fits = len(known) == len(numbers)
    series[key] = [a + b for a, b in zip(known, numbers, strict=True)] if fits else numbers
