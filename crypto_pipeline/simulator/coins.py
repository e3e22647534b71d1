"""What the model knows of each coin: price level, grid, activity and temper.

The levels are round figures of the right size, not quotations. A coin that is not in the
table gets values drawn from its name, so that any BASE-QUOTE can be asked for.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from crypto_pipeline.simulator.market import Listing

# base: level in dollars, trades a day, share of the common factor, own daily volatility
COINS: dict[str, tuple[float, int, float, float]] = {
    "BTC": (67_000.0, 1_500_000, 1.0, 0.008),
    "ETH": (3_400.0, 1_100_000, 1.15, 0.012),
    "SOL": (160.0, 700_000, 1.35, 0.022),
    "XRP": (0.62, 400_000, 0.95, 0.022),
    "BNB": (590.0, 350_000, 0.85, 0.012),
    "DOGE": (0.14, 400_000, 1.4, 0.026),
    "ADA": (0.45, 180_000, 1.15, 0.020),
    "TRX": (0.13, 90_000, 0.6, 0.013),
    "LINK": (14.5, 120_000, 1.25, 0.022),
    "AVAX": (28.0, 130_000, 1.35, 0.022),
    "LTC": (83.0, 110_000, 0.95, 0.017),
    "DOT": (6.3, 90_000, 1.2, 0.019),
    "BCH": (390.0, 70_000, 1.05, 0.022),
    "NEAR": (5.2, 100_000, 1.4, 0.026),
    "UNI": (9.4, 60_000, 1.25, 0.026),
    "ATOM": (6.8, 50_000, 1.15, 0.019),
    "XLM": (0.11, 40_000, 0.95, 0.020),
    "HBAR": (0.075, 30_000, 1.15, 0.024),
    "SHIB": (0.00001745, 120_000, 1.35, 0.024),
    "PEPE": (0.00001234, 250_000, 1.6, 0.034),
}
DOLLARS = frozenset({"USDT", "USDC", "USD", "FDUSD", "TUSD", "DAI", "BUSD"})
TRADE_VALUE_DOLLARS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Coin:
    """One instrument of the model. Prices are whole ticks of 10**-tick_digits, sizes of steps."""

    symbol: str
    level: float
    tick_digits: int
    step_digits: int
    trades_a_day: int
    factor_share: float
    own_volatility: float
    steps_a_trade: float

    def listing(self) -> Listing:
        return Listing(
            symbol=self.symbol,
            tick=Decimal(1).scaleb(-self.tick_digits),
            step=Decimal(1).scaleb(-self.step_digits),
        )


def random_generator(*parts: str | int) -> np.random.Generator:
    """A generator that depends on the parts alone, not on the process or the order of calls."""
    text = "\x1f".join(str(part) for part in parts)
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


def coin_for(symbol: str) -> Coin:
    """Describe `BASE-QUOTE`: five or six digits of price, a volume that fits 64 bits.

    >>> coin_for("BTC-USDT").tick_digits, coin_for("PEPE-USDT").tick_digits
    (2, 8)
    """
    base, _, quote = symbol.partition("-")
    dollars, trades, share, volatility = COINS.get(base) or _unlisted(base)
    quote_dollars = 1.0 if quote in DOLLARS else (COINS.get(quote) or _unlisted(quote))[0]
    level = dollars / quote_dollars
    tick_digits = min(8, max(2, 4 - math.floor(math.log10(level))))
    step_digits = min(8 - tick_digits, 5, max(0, math.floor(math.log10(dollars)) + 1))
    return Coin(
        symbol=symbol,
        level=max(level, 100 * 10.0**-tick_digits),
        tick_digits=tick_digits,
        step_digits=step_digits,
        trades_a_day=trades if quote in DOLLARS else max(200, trades // 100),
        factor_share=share if quote in DOLLARS else 0.2,
        own_volatility=volatility,
        steps_a_trade=max(2.0, TRADE_VALUE_DOLLARS / dollars * 10**step_digits),
    )


def _unlisted(base: str) -> tuple[float, int, float, float]:
    draw = random_generator("coin", base)
    level = 10 ** draw.uniform(-2.5, 2.0)
    trades = int(10 ** draw.uniform(2.6, 5.0))
    return level, trades, draw.uniform(0.6, 1.5), draw.uniform(0.015, 0.045)
