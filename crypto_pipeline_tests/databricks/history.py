"""Raw records of a small market with some minutes behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import PollRecord
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline_tests.audit.market import awkward, minute
from crypto_pipeline_tests.builders import AT, MINUTE, Row, candle, raw_row, raw_rows

# Enough for the measures over an hour, and so for every forecast but the fitted one.
EARLIER = 65


def fetched() -> list[Candle]:
    """Fetched candles of one symbol that end where the polls begin; prices move in waves."""
    found = []
    for number in range(EARLIER):
        wave = 900 * math.sin(number / 97) + 60 * math.sin(number * number / 31)
        close = Decimal(66_000 + round(wave))
        found.append(
            candle(
                open_at=AT - (EARLIER + 1 - number) * MINUTE,
                open=close - 3,
                high=close + 8,
                low=close - 11,
                close=close,
                is_backfill=True,
                observed_at=AT - timedelta(seconds=30),
            )
        )
    return found


def first() -> list[Row]:
    """The candles of before, and two minutes of polls."""
    return raw_rows(*fetched(), *facts(minute(0)), *facts(minute(1)))


def second() -> list[Row]:
    """A minute with a repeat, a conflict, a correction, late rows and what does not parse."""
    given = [*minute(2), *awkward(1)]
    good = raw_rows(*facts(given))
    bad = [raw_row(value, offset=9_000 + n) for n, value in enumerate(texts(given))]
    return [{**row, "offset": 10_000 + n} for n, row in enumerate([*good, *bad])]


def facts(given: Sequence[Tick | Candle | PollRecord | bytes]) -> list[Tick | Candle | PollRecord]:
    return [fact for fact in given if not isinstance(fact, bytes)]


def texts(given: Sequence[object]) -> list[bytes]:
    return [fact for fact in given if isinstance(fact, bytes)]
