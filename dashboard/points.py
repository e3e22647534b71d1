"""What the feed keeps of each record: small frozen values, made once when the record arrives.

Prices keep the decimal text of the wire for the screen; floats are for drawing only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

Key = tuple[str, str]
Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TickPoint:
    """One poll of one instrument; `broker_at` is when the broker stored it."""

    market: str
    source: str
    venue: str
    symbol: str
    poll_at: datetime
    observed_at: datetime
    broker_at: datetime
    price: str
    digits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CandlePoint:
    """One revision of one closed minute."""

    open_at: datetime
    observed_at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BandSeries:
    """Gold's minutes as read-only arrays of one length; NaN where gold knows nothing.

    `sampled` is the close of a minute that has no candle of the exchange, NaN for others.
    """

    minute_at: Times
    middle: Floats
    upper: Floats
    lower: Floats
    volatility_1h: Floats
    sampled: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class GapPoint:
    """Minutes in [from_at, to_at) without a candle."""

    from_at: datetime
    to_at: datetime
    minutes: int
    cause: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryPoint:
    source: str
    symbol: str
    minute_at: datetime
    last: str
    spread_bps: float | None
    return_1m: float | None
    return_5m: float | None
    return_1h: float | None
    return_24h: float | None
    volatility_1h: float | None
    volatility_24h: float | None
    volatility_rank: int | None
    volume_24h: float | None
    z_score: float | None
    atr_14: float | None
    bollinger_width: float | None
    origin: str | None
    gaps: tuple[GapPoint, ...]
    recent: BandSeries


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastPoint:
    source: str
    symbol: str
    origin_at: datetime
    target_at: datetime
    horizon_minutes: int
    model: str
    model_version: str
    is_served: bool
    price: float
    volatility: float
    return_low: float
    return_high: float
    price_low: float
    price_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePoint:
    """One model's losses at one horizon."""

    model: str
    origins: int
    qlike: float | None
    median_qlike: float | None
    pinball: float | None
    coverage: float | None
    p_value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizonPoint:
    """Who serves a horizon and why; `scores` are walk-forward, `live` of what was served."""

    minutes: int
    served: str | None
    champion: str | None
    baseline: str | None
    reason: str
    drift: str
    drift_reason: str
    scores: tuple[ScorePoint, ...]
    live: tuple[ScorePoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPoint:
    stage: str
    batch: int
    rows_in: int
    rows_out: int
    rejected: int
    seconds: float
    newest_fact_at: datetime | None
    committed_at: datetime
    outcomes: tuple[tuple[str, int], ...]
    behind: int | None
    run_id: str | None
    horizons: tuple[HorizonPoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolPoint:
    """What of the ingestion waited for the broker when it said so."""

    source: str
    polls: int
    messages: int
    bytes: int
    limit_bytes: int
    oldest_poll_at: datetime | None
    reported_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPoint:
    source: str
    venue: str
    purpose: str
    poll_at: datetime
    broker_at: datetime
    outcome: str
    reason: str | None
    asked: int
    published: int
    unchanged: int
    rejected: int


def as_times(moments: list[datetime]) -> Times:
    """Aware times as read-only UTC `datetime64[ms]`, which Plotly takes without a copy in text."""
    times = np.array([m.replace(tzinfo=None) for m in moments], dtype="datetime64[ms]")
    times.setflags(write=False)
    return times
