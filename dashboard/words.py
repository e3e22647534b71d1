"""How the screen words ages, prices and percentages, and how it tames text from outside."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How this viewer is told times: in UTC, or in the browser's own zone."""

    zone: ZoneInfo | None = None

    @property
    def name(self) -> str:
        return "UTC" if self.zone is None else self.zone.key

    def here(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone or UTC)

    def offset(self, moment: datetime) -> timedelta:
        return self.here(moment).utcoffset() or timedelta(0)

    def time(self, moment: datetime) -> str:
        return f"{self.here(moment):%H:%M:%S} {self.name}"

    def minute(self, moment: datetime | None) -> str:
        return NOTHING if moment is None else f"{self.here(moment):%H:%M} {self.name}"

    def day(self, moment: datetime | None) -> str:
        return NOTHING if moment is None else f"{self.here(moment):%Y-%m-%d %H:%M} {self.name}"

    def stamp(self, moment: datetime) -> str:
        return f"{self.here(moment):%Y-%m-%d %H:%M:%S} {self.name}"


IN_UTC = Clock()


def clock_of(zone: str | None, *, is_local: bool) -> Clock:
    """The clock that the viewer asked for; UTC where the browser's zone is not known here.

    >>> clock_of("Asia/Tokyo", is_local=True).minute(datetime(2026, 11, 23, 10, 5, tzinfo=UTC))
    '19:05 Asia/Tokyo'
    """
    if not is_local or not zone:
        return IN_UTC
    try:
        return Clock(zone=ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return IN_UTC


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


def say_change(log_return: float | None) -> str:
    """A log return as a signed change, its direction told by shape too.

    >>> say_change(0.01), say_change(-0.01), say_change(None)
    ('▲ +1.01 %', '▼ -1.00 %', '—')
    """
    percent = change_percent(log_return)
    if percent is None:
        return NOTHING
    return f"{'▲' if percent > 0 else '▼' if percent < 0 else '■'} {percent:+.2f} %"


def say_percent(fraction: float | None, digits: int = 0) -> str:
    percent = as_percent(fraction)
    return NOTHING if percent is None else f"{percent:,.{digits}f} %"


def say_bytes(count: int) -> str:
    """Megabytes with one figure behind the point."""
    return f"{count / 1e6:,.1f} MB"


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


# Escaped or not, Markdown makes links of addresses: a word joiner, unseen, keeps them text.
LINKING = (("://", ":\u2060//"), ("www.", "www\u2060."), ("WWW.", "WWW\u2060."), ("@", "@\u2060"))


def safe_markdown(text: str) -> str:
    """Text from outside for a place that reads Markdown: every mark is escaped.

    >>> safe_markdown("<b>[x](y)")
    '\\\\<b\\\\>\\\\[x\\\\]\\\\(y\\\\)'
    """
    return _escaped(plain_text(text))


# Wide look-alikes: Plotly reads `<b>` and `&lt;` as HTML.
WIDE = str.maketrans({"<": "\uff1c", ">": "\uff1e", "&": "\uff06"})


def figure_text(text: str) -> str:
    """Text from outside for Plotly, without a mark that it would read as HTML."""
    return plain_text(text).translate(WIDE)


def safe_markdown_long(text: str) -> str:
    """A sentence or more, all of it."""
    pieces = (text[start : start + TEXT_SHOWN] for start in range(0, len(text), TEXT_SHOWN))
    return _escaped("".join(plain_text(piece) for piece in pieces))


def _escaped(shown: str) -> str:
    for mark, apart in LINKING:
        shown = shown.replace(mark, apart)
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", shown)


def _signed(number: float | None) -> str:
    return NOTHING if number is None else f"{number:+.2f}"
