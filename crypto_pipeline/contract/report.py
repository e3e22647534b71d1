"""What the lake tells the screen: the newest summary, forecasts and stage reports.

These three are plain JSON objects whose fields are the columns of the table they come from;
the names here are what the dashboard may rely on. Numbers that gold computed are JSON
numbers, prices are decimal strings.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from crypto_pipeline.contract.message import MarketKind


class RecentMinute(TypedDict):
    """One minute of the chart's band: a 20-minute Bollinger band, annualised volatility."""

    minute_at: str
    middle: float | None
    upper: float | None
    lower: float | None
    volatility_1h: float | None


class SummaryRecord(TypedDict):
    """`market.summary`, key `source|symbol`: one source and symbol, now; log returns."""

    schema_version: int
    kind: Literal["summary"]
    id: str
    market: MarketKind
    source: str
    symbol: str
    minute_at: str
    last: str
    bid: str | None
    ask: str | None
    spread_bps: float | None
    return_1m: float | None
    return_5m: float | None
    return_1h: float | None
    return_24h: float | None
    volume_24h: float | None
    volatility_5m: float | None
    volatility_1h: float | None
    volatility_24h: float | None
    volatility_rank: int | None
    recent: NotRequired[list[RecentMinute]]


class ForecastRecord(TypedDict):
    """`market.forecasts`, key `source|symbol|horizon|model`; `is_served` marks the one to show.

    `variance` is of the log return over the horizon; the band holds 90 % of returns.
    """

    schema_version: int
    kind: Literal["forecast"]
    id: str
    market: MarketKind
    source: str
    symbol: str
    origin_at: str
    target_at: str
    horizon_minutes: int
    model: str
    model_version: str
    is_served: bool
    price: str
    variance: float
    volatility: float
    return_low: float
    return_high: float
    price_low: float
    price_high: float


class StageReport(TypedDict):
    """`pipeline.status`, key = stage: what its last commit did. Seconds are wall seconds."""

    schema_version: int
    kind: Literal["status"]
    stage: str
    market: MarketKind
    batch: int
    version: int
    rows_in: int
    rows_out: int
    rejected: int
    seconds: float
    newest_fact_at: str | None
    committed_at: str
