"""A small market with some minutes behind it, as the topics bring it."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline_tests.books.market import Facts, awkward, minute
from crypto_pipeline_tests.builders import AT, MINUTE, candle

# Enough for the measures over an hour, and so for every forecast but the fitted ones.
EARLIER = 65
# The first outcome that is five minutes away, and the minute that settles it.
LATER = 6


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


def first() -> Facts:
    """The candles of before, and a minute that ends at a multiple of five: forecasts are scored."""
    return [*fetched(), *minute(0)]


def second() -> Facts:
    """Minutes with a repeat, a conflict, a correction, late rows and what does not parse."""
    return [fact for number in range(1, LATER + 1) for fact in minute(number)] + awkward(0)
