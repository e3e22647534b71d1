"""A folder of recorded 1-minute candles, played back.

Files are `BASE_QUOTE-1m.csv.gz` with `open_time_ms,open,high,low,close,volume`. Prices and
volumes are the file's own numbers. What the file does not hold is derived and plain to see:
quote volume is volume times the mean of the four prices, buyers take half, a minute with
volume has four trades whose ids follow from the time. A missing minute stays missing.
"""

from __future__ import annotations

import gzip
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from crypto_pipeline.errors import SettingsError
from crypto_pipeline.simulator.market import DAY_MS, MINUTE_MS, Bar, Listing, Window

SUFFIX = "-1m.csv.gz"
HEADER = "open_time_ms,open,high,low,close,volume"
TRADES_A_MINUTE = 4
QUARTER_MS = MINUTE_MS // TRADES_A_MINUTE
EIGHT_DIGITS = Decimal("0.00000001")


@dataclass(frozen=True, slots=True)
class Series:
    """One file: open times and, beside each, the rest of its line."""

    times: array[int]
    lines: list[str]


class RecordedMarket:
    """A `Market` over a folder; a file is read when its symbol is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._files = {
            path.name.removesuffix(SUFFIX).replace("_", "-"): path
            for path in sorted(folder.glob(f"*{SUFFIX}"))
        }
        if not self._files:
            raise SettingsError(
                f"RECORDED_DIR {folder} has no candle files. Give a folder with files named "
                f"BASE_QUOTE{SUFFIX}, for example BTC_USDT{SUFFIX}."
            )
        self._series: dict[str, Series] = {}

    def listings(self) -> Sequence[Listing]:
        return [
            Listing(symbol=symbol, tick=EIGHT_DIGITS, step=EIGHT_DIGITS) for symbol in self._files
        ]

    def oldest_ms(self, symbol: str) -> int:
        return _first_time(self._files[symbol])

    def bars(self, symbol: str, first_ms: int, last_ms: int, now_ms: int) -> list[Bar]:
        series = self._read(symbol)
        start = bisect_left(series.times, first_ms)
        end = bisect_right(series.times, min(last_ms, now_ms))
        return [_bar_at(series, row, now_ms) for row in range(start, end)]

    def window(self, symbol: str, now_ms: int) -> Window | None:
        series = self._read(symbol)
        newest = bisect_right(series.times, now_ms) - 1
        if newest < 0:
            return None
        last = _bar_at(series, newest, now_ms)
        bars = self.bars(symbol, now_ms - DAY_MS + MINUTE_MS, now_ms, now_ms) or [last]
        before = bisect_left(series.times, bars[0].open_ms) - 1
        trades = sum(bar.trades for bar in bars)
        last_id = _last_id(series, newest, now_ms)
        return Window(
            open=bars[0].open,
            high=max(bar.high for bar in bars),
            low=min(bar.low for bar in bars),
            last=last.close,
            last_size=(last.volume / max(1, last.trades)).quantize(EIGHT_DIGITS),
            previous_close=_bar_at(series, max(before, 0), now_ms).close,
            bid=last.close,
            bid_size=Decimal(0),
            ask=last.close,
            ask_size=Decimal(0),
            volume=sum((bar.volume for bar in bars), Decimal(0)),
            quote_volume=sum((bar.quote_volume for bar in bars), Decimal(0)),
            first_id=last_id - trades + 1 if trades else -1,
            last_id=last_id,
            trades=trades,
        )

    def _read(self, symbol: str) -> Series:
        if symbol not in self._series:
            self._series[symbol] = _read_series(self._files[symbol])
        return self._series[symbol]


def _read_series(path: Path) -> Series:
    times, lines = array("q"), []
    with gzip.open(path, "rt", encoding="ascii") as file:
        _check_header(path, file.readline())
        for line in file:
            time, _, rest = line.rstrip("\n").partition(",")
            times.append(int(time))
            lines.append(rest)
    return Series(times, lines)


def _first_time(path: Path) -> int:
    with gzip.open(path, "rt", encoding="ascii") as file:
        _check_header(path, file.readline())
        first = file.readline().partition(",")[0]
    if not first:
        raise SettingsError(f"The candle file {path} has no rows. Remove it or put rows in it.")
    return int(first)


def _check_header(path: Path, line: str) -> None:
    if line.strip() != HEADER:
        raise SettingsError(
            f"The candle file {path} begins with {line.strip()[:80]!r}. Its first line must be "
            f"{HEADER}."
        )


def _bar_at(series: Series, row: int, now_ms: int) -> Bar:
    """The bar of a row, as much of it as has happened by `now_ms`.

    Within its minute the price goes open, one extreme, the other, close, a quarter each: down
    first where the minute ends higher. Volume grows with the quarters.
    """
    first, high, low, last, volume = (Decimal(text) for text in series.lines[row].split(","))
    quarters = _quarters(series.times[row], now_ms)
    middle = [low, high] if last >= first else [high, low]
    seen = [first, *middle, last][:quarters]
    if quarters < TRADES_A_MINUTE:
        volume = (volume * quarters / TRADES_A_MINUTE).quantize(EIGHT_DIGITS)
    value = (volume * (first + high + low + last) / 4).quantize(EIGHT_DIGITS)
    return Bar(
        open_ms=series.times[row],
        open=first,
        high=max(seen),
        low=min(seen),
        close=seen[-1],
        volume=volume,
        quote_volume=value,
        trades=quarters if volume else 0,
        taker_volume=(volume / 2).quantize(EIGHT_DIGITS),
        taker_quote_volume=(value / 2).quantize(EIGHT_DIGITS),
    )


def _quarters(open_ms: int, now_ms: int) -> int:
    return max(1, min(TRADES_A_MINUTE, (now_ms - open_ms) // QUARTER_MS + 1))


def _last_id(series: Series, newest: int, now_ms: int) -> int:
    """Four ids a recorded minute; it stands still while nothing is traded, -1 before any trade.

    Ids count minutes since 1970, so they rise with time whatever the file lacks.
    """
    for row in range(newest, -1, -1):
        if Decimal(series.lines[row].rpartition(",")[2]):
            minute = series.times[row] // MINUTE_MS
            return minute * TRADES_A_MINUTE + _quarters(series.times[row], now_ms) - 1
    return -1
