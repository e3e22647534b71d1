"""How the screen words ages, prices and percentages, and how it tames text from outside."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

STALE_AFTER = timedelta(seconds=90)
DEAD_AFTER = timedelta(minutes=5)
TEXT_SHOWN = 40
DIGITS_SHOWN = 18
NOTHING = "—"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """A state told by word and by shape, so that it never hangs on a colour."""

    word: str
    shape: str
    age: timedelta | None

    @property
    def badge(self) -> str:
        return f"{self.shape} {self.word}" + ("" if self.age is None else f" {say_age(self.age)}")


def judge_age(stored_at: datetime | None, now: datetime) -> Freshness:
    """Fresh below 90 s, dead from 5 min on, the freshness policy's own marks.

    >>> moment = datetime(2026, 11, 23, 10, 5)
    >>> judge_age(moment, moment + timedelta(seconds=12)).badge
    '● fresh 12 s'
    """
    if stored_at is None:
        return Freshness(word="no poll", shape="✕", age=None)
    age = max(now - stored_at, timedelta(0))
    if age < STALE_AFTER:
        return Freshness(word="fresh", shape="●", age=age)
    if age < DEAD_AFTER:
        return Freshness(word="stale", shape="▲", age=age)
    return Freshness(word="dead", shape="✕", age=age)


def say_age(age: timedelta) -> str:
    """The largest unit that keeps two figures.

    >>> [say_age(timedelta(seconds=s)) for s in (0, 89, 130, 7300, 200_000)]
    ['0 s', '89 s', '2 min', '2 h', '2 d']
    """
    seconds = int(age.total_seconds())
    if seconds < 100:
        return f"{seconds} s"
    if seconds < 100 * 60:
        return f"{seconds // 60} min"
    if seconds < 48 * 3600:
        return f"{seconds // 3600} h"
    return f"{seconds // 86_400} d"


def say_clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S} UTC"


def count_digits(prices: Iterable[str]) -> int:
    """Decimals an instrument uses: venues pad with zeros, so the longest of several tells.

    >>> count_digits(["87654.30000000", "87654.32000000"]), count_digits(["0.00000614"])
    (2, 8)
    """
    fractions = (price.partition(".")[2].rstrip("0") for price in prices)
    return min(max((len(fraction) for fraction in fractions), default=0), DIGITS_SHOWN)


def say_price(price: str, digits: int) -> str:
    """Write decimal text with so many decimals; no float on the way.

    >>> say_price("87654.3", 2), say_price("0.0000000012", 10)
    ('87,654.30', '0.0000000012')
    """
    return f"{Decimal(price):,.{digits}f}"


def as_percent(number: float | None) -> float | None:
    """A fraction as percent; None for what is not a finite number."""
    return None if number is None or not math.isfinite(number) else number * 100


def change_percent(log_return: float | None) -> float | None:
    """A log return as the change in percent that people expect."""
    if log_return is None or not math.isfinite(log_return) or log_return > 700:
        return None
    return math.expm1(log_return) * 100


def say_band(low: float, high: float) -> str:
    """A band of log returns as changes.

    >>> say_band(-0.01, 0.01)
    '-1.00 … +1.01 %'
    """
    return f"{_signed(change_percent(low))} … {_signed(change_percent(high))} %"


def plain_text(text: str) -> str:
    """Text from outside for a place that shows text as it is: short, one line, one direction."""
    shown = "".join(letter if letter.isprintable() else "�" for letter in text[: TEXT_SHOWN + 1])
    return shown if len(shown) <= TEXT_SHOWN else shown[:TEXT_SHOWN] + "…"


def safe_markdown(text: str) -> str:
    """Text from outside for a place that reads Markdown: every mark is escaped.

    >>> safe_markdown("<b>[x](http://y)")
    '\\\\<b\\\\>\\\\[x\\\\]\\\\(http\\\\:\\\\/\\\\/y\\\\)'
    """
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", plain_text(text))


def _signed(number: float | None) -> str:
    return NOTHING if number is None else f"{number:+.2f}"
